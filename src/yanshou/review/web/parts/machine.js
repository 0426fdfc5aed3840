// The machine's side of a group: after the reader's own answer and only on request, or from the start in open mode.
const says = (label) => texts["says_" + (label || "none")];

const machineFacts = (side) => {
  const list = make("dl", "facts");
  const add = (name, text) => {
    if (text === null || text === undefined || text === "") return;
    const pair = make("div");
    pair.append(make("dt", "", texts[name]), make("dd", "", text));
    list.append(pair);
  };
  add("group", side.group_id);
  add("folder", says(side.folder));
  add("verdict", says(side.verdict));
  add("decision", side.decision && texts["decision_" + side.decision]);
  add("p_pass", side.p_pass === null || side.p_pass === undefined ? "" : side.p_pass.toFixed(4));
  add("reason", side.reason);
  add("rules", side.rules && says(side.rules));
  add("rules_reason", side.rules_reason);
  if ("audit" in side) add("audit", side.audit ? texts.audit_yes : texts.audit_no);
  return list;
};

const showMachine = (group) => { // open mode
  const box = byId("shown-machine");
  box.hidden = !group.machine;
  box.replaceChildren(...(group.machine ? [machineFacts(group.machine)] : []));
};

const reveal = async (answer) => {
  if (!answer) {
    say(texts.reveal_first);
    return;
  }
  const reply = await call("/api/reveal", { group: answer.group });
  if (!reply.ok) {
    if (reply.code === "sign_in") signOut();
    else say(fill(texts.reveal_failed, { message: reply.message }));
    return;
  }
  byId("machine-facts").replaceChildren(ownAnswer(answer), machineFacts(reply.data));
  byId("machine").showModal();
};

const ownAnswer = (answer) => make("p", "", fill(texts.saying, { name: texts.your_answer, value: answerText(answer) }));
