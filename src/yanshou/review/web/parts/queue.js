// The groups at hand: the one on the screen, and the next, whose photos are fetched meanwhile.
const WANTED = 2;
let current = null; // the group on the screen
let ready = []; // groups leased for later
let left = null, today = 0;
let asking = null; // the running request for groups
let turn = 0; // counts how often the groups at hand were given up: what was asked for before is then out of date

const heldIds = () => [current, ...ready].filter(Boolean).map((group) => group.id);

const fillQueue = () => { // one request at a time
  if (!asking) {
    const own = askGroups().finally(() => { if (asking === own) asking = null; });
    asking = own;
  }
  return asking;
};

const askGroups = async () => {
  const asked = Date.now(), own = turn, hold = heldIds();
  const reply = await call("/api/next", { ...chosen, hold, count: WANTED });
  if (own !== turn) {
    if (reply.ok) giveBack(reply.data.groups.map((group) => group.id));
    return reply;
  }
  if (!reply.ok) {
    if (reply.code === "sign_in" || reply.code === "no_name") signOut();
    return reply;
  }
  renewed = asked;
  left = reply.data.left;
  const known = new Set(heldIds());
  ready.push(...reply.data.groups.filter((group) => !known.has(group.id)).map(openGroup));
  keepHeld(hold, reply.data.held);
  showProgress();
  return reply;
};

const keepHeld = (asked, held) => { // of the groups that were asked about, those that are still this reader's
  const lost = asked.filter((id) => !held.includes(id));
  ready.filter((group) => lost.includes(group.id)).forEach(dropGroup);
  ready = ready.filter((group) => !lost.includes(group.id));
  if (current && !busy && lost.includes(current.id)) setTimeout(loseGroup, 0, current); // when this request is over
};

const loseGroup = (group) => {
  if (group !== current) return;
  if (!typedFor(group)) notice(texts.lost_group); // else the text comes back with a notice of its own
  leaveGroup();
  nextGroup();
};

const leaveGroup = () => {
  closePanel();
  closeZoom();
  if (current) dropGroup(current);
  current = null;
};

const dropGroups = () => {
  turn += 1;
  asking = null;
  leaveGroup();
  ready.forEach(dropGroup);
  ready = [];
};

const nextGroup = async () => {
  if (!ready.length && !(await waitForGroup())) return;
  if (screen === "elsewhere" || current) return;
  showGroup(ready.shift());
  fillQueue();
};

const waitForGroup = async () => { // until a group is here (true), or there is none for this reader (false)
  show("loading");
  for (let wait = 1000, warned = false; ; wait = longer(wait)) {
    const reply = await fillQueue();
    if (screen !== "loading") return false;
    if (ready.length) {
      if (warned) warn("");
      return true;
    }
    if (reply.ok) {
      showDone();
      return false;
    }
    warn(reply.code === UNREACHABLE ? texts.waiting_group : texts["error_" + reply.code] ?? fill(texts.error_other, reply));
    warned = true;
    await patience(wait);
  }
};

const showDone = () => {
  byId("where").textContent = queueName(chosen);
  byId("done-text").textContent = fill(texts.done_text, { queue: queueName(chosen) });
  warn("");
  show("done");
};

const spareIds = () => { // of the groups at hand, those without an answer that is not yet saved
  const unsaved = new Set(kept().map((item) => item.body.group));
  return heldIds().filter((id) => !unsaved.has(id));
};
const giveBack = (ids) => (ids.length ? call("/api/release", { groups: ids }) : null);
const giveBackAtOnce = (ids) => { // the page is being closed
  if (ids.length) navigator.sendBeacon("/api/release", new Blob([JSON.stringify({ groups: ids })], { type: "application/json" }));
};
