// The reader's own answers, newest first.
const historyDialog = byId("history");

const readHistory = async () => {
  const reply = await call("/api/history");
  if (reply.ok) {
    answered = [...reply.data.answers].reverse();
    showLast();
  }
  return reply;
};

const openHistory = async () => {
  const reply = await readHistory();
  if (reply.code === "sign_in") {
    signOut();
    return;
  }
  const rows = reply.ok ? reply.data.answers.map(historyRow) : [];
  const nothing = reply.ok ? texts.history_empty : fill(texts.history_failed, reply);
  byId("history-list").replaceChildren(...(rows.length ? rows : [make("p", "quiet", nothing)]));
  if (!historyDialog.open) historyDialog.showModal();
};

const historyRow = (answer) => {
  const row = make("div", "answer-row"), acts = make("span", "acts");
  row.append(
    make("time", "quiet", answer.at.slice(0, 19).replace("T", " ")),
    make("span", "", answer.mission),
    make("b", answer.label, texts[answer.label]),
    make("span", "why", answer.reason),
    acts,
  );
  acts.append(
    makeButton("", texts.undo, () => {
      historyDialog.close();
      undo(answer);
    }),
    makeButton("", texts.reveal, () => {
      historyDialog.close();
      reveal(answer);
    }),
  );
  return row;
};
byId("open-history").addEventListener("click", openHistory);
