// Opening and reloading: who, what is not yet saved, which queue.
const start = async () => {
  show("loading");
  takeOver();
  for (let wait = 1000; ; wait = longer(wait)) {
    const reply = await call("/api/queues");
    if (reply.ok) {
      warn("");
      readQueues(reply.data);
      break;
    }
    if (reply.code === "sign_in") {
      signOut();
      return;
    }
    warn(reply.code === UNREACHABLE ? texts.waiting_group : fill(texts.error_other, reply));
    await patience(wait);
  }
  if (reader === null) {
    askName();
    return;
  }
  chosen = recall("sessionStorage", CHOICE);
  await deliverKept();
  if (screen !== "loading") return;
  await giveBackLeft();
  await readHistory();
  if (chosen) nextGroup();
  else {
    giveBack(heldIds());
    dropGroups();
    showChoice();
  }
};

const deliverKept = async () => { // from before a reload
  for (const item of kept().filter((other) => other.reader === reader)) {
    say(item.kind === "answer" ? fill(texts.saving_answer, { answer: answerText(item.body) }) : texts.undoing);
    const reply = await deliver(item);
    if (reply.code === "sign_in" || reply.code === "no_name") {
      signOut();
      return;
    }
    if (reply.ok) say(item.kind === "answer" ? fill(texts.saved, { answer: answerText(item.body) }) : texts.undone);
    else notice(refusal(item, reply), item.body.reason);
    if (item.kind === "answer") forgetDraft(item.body.group);
    else if (reply.ok) ready.push(openGroup(reply.data.group));
  }
  const others = kept();
  if (others.length) notice(fill(texts.other_reader_kept, { reader: others[0].reader, count: others.filter((item) => item.reader === others[0].reader).length }));
};

for (const button of document.querySelectorAll(".retry")) button.addEventListener("click", start);
start();
