// Which groups to review: a mission or all; in open mode the audit apart.
const CHOICE = "yanshou-review-queue-" + storeId;
const missions = new Map(); // name → {rule, reasons: {pass, fail}}
let queues = [];

const queueName = ({ queue, mission }) => {
  const name = mission ?? texts.choice_all;
  return queue === "audit" ? texts.choice_audit + (mission ? " · " + mission : "") : name;
};

const showChoice = async () => {
  const reply = await call("/api/queues");
  if (reply.ok) readQueues(reply.data);
  byId("reader-is").textContent = fill(texts.reader_is, { reader });
  byId("queues").replaceChildren(...queueList("main"), ...(queues.some(({ queue }) => queue === "audit") ? auditList() : []));
  show("choice");
};

const readQueues = (data) => {
  reader = data.reader;
  queues = data.queues;
  today = data.today ?? today;
  missions.clear();
  for (const mission of data.missions) missions.set(mission.name, mission);
  byId("mode-note").textContent = data.mode === "open" ? texts.choice_open : texts.choice_blind;
};

const queueList = (queue) => {
  const own = queues.filter((row) => row.queue === queue), sum = own.reduce((total, row) => total + row.left, 0);
  const rows = own.filter((row) => row.mission !== null).map((row) => queueButton(row, row.left));
  return rows.length === 1 ? rows : [queueButton({ queue, mission: null }, sum), ...rows];
};

const auditList = () => [make("h2", "", texts.choice_audit), make("p", "quiet", texts.choice_audit_note), ...queueList("audit")];

const queueButton = ({ queue, mission }, count) => {
  const element = makeButton("queue", "", () => beginQueue({ queue, mission }));
  element.append(make("b", "", queueName({ queue, mission })), make("span", "", count ? fill(texts.choice_left, { left: count }) : texts.choice_none));
  element.disabled = !count;
  return element;
};

const beginQueue = (queue) => {
  chosen = queue;
  remember("sessionStorage", CHOICE, queue);
  nextGroup();
};

const leaveQueue = async () => {
  if (busy) return;
  const ids = heldIds();
  dropGroups();
  remember("sessionStorage", CHOICE, null);
  await giveBack(ids);
  showChoice();
};
for (const id of ["other-queue", "done-other"]) byId(id).addEventListener("click", leaveQueue);
byId("done-again").addEventListener("click", nextGroup);
