// The reader's answers: saved before the next group appears, and undone.
const answerButtons = document.querySelectorAll("button.answer");
const SETTLE_MS = 300; // after the screen changed, clicks within this time were meant for what was there before
let busy = false; // an answer or an undo is on its way
let answered = []; // this reader's answers, oldest first: {uid, group, label, reason}

const answerText = (answer) => (answer.reason
  ? fill(texts.with_reason, { answer: texts[answer.label], reason: answer.reason }) : texts[answer.label]);

const setBusy = (now) => {
  busy = now;
  byId("work").setAttribute("aria-busy", String(now));
  for (const button of [...answerButtons, byId("undo"), byId("reveal"), byId("other-queue")]) button.disabled = now;
};

const saveAnswer = async () => {
  if (busy || !panelOpen()) return;
  const body = { group: current.id, label, reason: reasonText(), seconds: secondsLookedAt() };
  if (body.reason.length > MOST_CHARACTERS) {
    say(fill(texts.too_long, { most: MOST_CHARACTERS }));
    return;
  }
  const item = { uid: uuid(), kind: "answer", reader, body };
  setBusy(true);
  closePanel();
  byId("work").focus({ preventScroll: true });
  say(fill(texts.saving_answer, { answer: answerText(body) }));
  const reply = await deliver(item);
  setBusy(false);
  afterAnswer(item, reply);
};

const afterAnswer = (item, reply) => {
  if (reply.ok) {
    recordAnswer(item, reply.data);
    goOn();
  } else if (reply.code === "sign_in" || reply.code === "no_name") {
    say("");
    signOut();
  } else {
    say("");
    notice(refusal(item, reply), item.body.reason);
    if (["lease_lost", "answered", "not_found"].includes(reply.code)) {
      forgetDraft(item.body.group);
      goOnAfterRefusal();
    }
  }
};

const recordAnswer = (item, data) => {
  forgetDraft(item.body.group);
  answered.push({ uid: item.uid, ...item.body });
  left = data.left;
  today = data.today ?? today + 1;
  say(fill(texts.saved, { answer: answerText(item.body) }));
  showLast();
};

const goOn = () => {
  leaveGroup();
  return nextGroup();
};

const goOnAfterRefusal = async () => { // the groups for later may be lost, too
  leaveGroup();
  await fillQueue();
  if (isWorking()) nextGroup();
};

const showLast = () => {
  const last = answered.at(-1);
  byId("done-undo").hidden = !last;
  byId("last").hidden = !last;
  byId("last-text").textContent = last ? fill(texts.saying, { name: texts.last, value: answerText(last) }) : "";
};

const undo = async (answer) => {
  if (busy) return;
  if (!answer) {
    say(texts.nothing_to_undo);
    return;
  }
  setBusy(true);
  say(texts.undoing);
  const item = { uid: uuid(), kind: "undo", reader, body: { answer: answer.uid } };
  const reply = await deliver(item);
  setBusy(false);
  if (reply.ok) takeBack(answer, reply.data.group);
  else if (reply.code === "sign_in" || reply.code === "no_name") signOut();
  else {
    say("");
    notice(refusal(item, reply));
  }
};

const takeBack = (answer, group) => {
  answered = answered.filter((other) => other.uid !== answer.uid);
  today = Math.max(today - 1, 0);
  left += 1;
  ready.filter((other) => other.id === group.id).forEach(dropGroup);
  ready = ready.filter((other) => other.id !== group.id);
  if (current) ready.unshift(current);
  showLast();
  showGroup({ ...openGroup(group), before: answer });
  say(texts.undone);
};

for (const button of answerButtons) {
  button.addEventListener("click", (event) => {
    if (event.detail > 1 || tooSoon(event)) return;
    openPanel(button.dataset.label);
    panelOpened = performance.now();
  });
}
let panelOpened = 0;
const tooSoon = (event) => event.detail > 0 && performance.now() - shownAt < SETTLE_MS;
byId("save").addEventListener("click", (event) => {
  if (event.detail > 1 || (event.detail && performance.now() - panelOpened < SETTLE_MS)) return;
  saveAnswer();
});
for (const id of ["undo", "done-undo"]) byId(id).addEventListener("click", () => undo(answered.at(-1)));
byId("reveal").addEventListener("click", () => reveal(answered.at(-1)));
