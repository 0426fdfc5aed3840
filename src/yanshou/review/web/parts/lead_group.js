// One group that readers disagree about. A first key or button chooses the final answer, a second one saves it.
let opened = null; // the group; null: the overview
let openedAt = 0;
let answer = null; // what would be saved; null: nothing is chosen
let picked = [];
let saving = false;
const field = byId("reason-text");

const openDispute = async (id) => {
  const reply = await call("/api/lead/group?id=" + id);
  if (!reply.ok) {
    failed(reply);
    return;
  }
  opened = reply.data;
  openedAt = performance.now();
  byId("overview").hidden = true;
  byId("dispute").hidden = byId("bar").hidden = false;
  byId("where").textContent = opened.mission;
  byId("rule-text").textContent = opened.rule;
  byId("rule").hidden = !opened.rule;
  byId("said").replaceChildren(saidList(opened.answers));
  paintPhotos(opened.photos);
  chooseAnswer(null);
  if (opened.own) paintOwn(opened.own, opened.machine);
  else paintUndecided();
  say("");
  warn("");
  document.querySelector("main").scrollTop = 0;
  byId("dispute").focus({ preventScroll: true });
};

const closeDispute = () => {
  if (saving) return;
  opened = null;
  byId("overview").hidden = false;
  byId("dispute").hidden = byId("bar").hidden = true;
  byId("where").textContent = texts.lead_title;
  paintPhotos([]);
  refresh();
};

const nextDispute = () => {
  const next = disputes.find((group) => group.id !== opened?.id);
  if (next) openDispute(next.id);
  else closeDispute();
};

const paintUndecided = () => {
  byId("own-machine").replaceChildren(); // of the group before
  byId("own").hidden = byId("next").hidden = true;
  byId("decide").hidden = false;
};

const paintOwn = (own, machine) => { // the final answer is given: what the machine says may be seen now
  byId("own-label").textContent = fill(texts.lead_saved, { answer: [texts[own.label], own.reason].filter(Boolean).join("：") });
  byId("own-machine").replaceChildren(machineFacts(machine), make("p", "quiet", texts.lead_change));
  byId("own").hidden = byId("next").hidden = false;
};

const chooseAnswer = (label) => {
  if (saving) return;
  if (label !== answer) picked = [];
  answer = label;
  if (!label) field.value = "";
  byId("chosen-label").textContent = label ? texts[label] : "";
  byId("will-save").className = label ?? "";
  for (const id of ["will-save", "reason-text", "reason-label", "save"]) byId(id).hidden = !label;
  for (const button of document.querySelectorAll(".answer")) button.setAttribute("aria-pressed", String(button.dataset.label === label));
  paintReasons();
  if (label) byId("decide").scrollIntoView({ block: "end" });
};

const vocabulary = () => opened?.reasons[answer] ?? [];
const paintReasons = () => {
  byId("pick").hidden = !vocabulary().length;
  byId("reasons").replaceChildren(...vocabulary().map((reason, number) => {
    const element = makeButton("reason", "", () => pickReason(number));
    if (number < 9) element.append(make("kbd", "", String(number + 1)), " ");
    element.append(reason);
    element.setAttribute("aria-pressed", String(picked.includes(reason)));
    return element;
  }));
};
const pickReason = (number) => {
  const reason = vocabulary()[number];
  if (reason === undefined) return;
  const now = picked.includes(reason) ? picked.filter((other) => other !== reason) : [...picked, reason];
  picked = vocabulary().filter((other) => now.includes(other));
  paintReasons();
  byId("dispute").focus({ preventScroll: true }); // Enter then saves
};

const AGAIN = [UNREACHABLE, "busy", "disk_full", "store_failed"]; // the same answer is sent again, with the same uid

const saveDecision = async () => {
  if (!answer || saving) return;
  const reason = [...picked, field.value.trim()].filter(Boolean).join(texts.join);
  const time = Math.round((performance.now() - openedAt) / 100) / 10;
  const body = { uid: uuid(), group: opened.id, label: answer, reason, seconds: time };
  saving = true;
  for (const button of document.querySelectorAll("#bar button, #reasons button")) button.disabled = true;
  say(texts.saving);
  let reply = await call("/api/lead/answer", body);
  for (let wait = 1000; !reply.ok && AGAIN.includes(reply.code); wait = longer(wait)) {
    warn(fill(texts.lead_waiting, { message: reply.message }));
    await patience(wait);
    reply = await call("/api/lead/answer", body);
  }
  saving = false;
  for (const button of document.querySelectorAll("#bar button")) button.disabled = false;
  say("");
  if (!reply.ok) {
    paintReasons();
    failed(reply);
    return;
  }
  warn("");
  chooseAnswer(null);
  paintOwn({ label: body.label, reason }, reply.data.machine);
  disputes = disputes.filter((group) => group.id !== body.group);
  openedAt = performance.now();
  byId("own-label").focus();
};

for (const button of document.querySelectorAll(".answer")) button.addEventListener("click", () => {
  chooseAnswer(button.dataset.label);
  byId("dispute").focus({ preventScroll: true }); // Enter then saves
});
byId("save").addEventListener("click", saveDecision);
byId("back").addEventListener("click", closeDispute);
byId("next").addEventListener("click", nextDispute);
addEventListener("beforeunload", (event) => { if (saving) event.preventDefault(); });
