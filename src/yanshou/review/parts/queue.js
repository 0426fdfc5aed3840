// The groups at hand: the one on the screen, and the next, whose photos are fetched meanwhile.
const WANTED = 2;
let current = null; // the group on the screen
let ready = []; // groups leased for later
let left = null, today = 0;
let asking = null; // the running request for groups

const heldIds = () => [current, ...ready].filter(Boolean).map((group) => group.id);

const fillQueue = () => { // one request at a time; false: no group came
  asking ??= askGroups().finally(() => { asking = null; });
  return asking;
};

const askGroups = async () => {
  const asked = Date.now(), queue = chosen;
  const reply = await call("/api/next", { ...queue, hold: heldIds(), count: WANTED });
  if (queue !== chosen) return reply;
  if (!reply.ok) {
    if (reply.code === "sign_in" || reply.code === "no_name") signOut();
    return reply;
  }
  renewed = asked;
  left = reply.data.left;
  const known = new Set(heldIds());
  ready.push(...reply.data.groups.filter((group) => !known.has(group.id)).map(openGroup));
  keepHeld([...reply.data.held, ...reply.data.groups.map((group) => group.id)]);
  showProgress();
  return reply;
};

const keepHeld = (ids) => { // of the groups at hand, those that are still this reader's
  for (const group of ready.filter((group) => !ids.includes(group.id))) dropGroup(group);
  ready = ready.filter((group) => ids.includes(group.id));
  if (current && !busy && !ids.includes(current.id)) loseGroup();
};

const loseGroup = () => {
  notice(texts.lost_draft, draftText(current));
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
  byId("done-text").textContent = fill(texts.done_text, { queue: queueName(chosen) });
  warn("");
  show("done");
};

const releaseGroups = (ids) => { // also when the page is being closed
  if (ids.length) navigator.sendBeacon("/api/release", new Blob([JSON.stringify({ groups: ids })], { type: "application/json" }));
};
