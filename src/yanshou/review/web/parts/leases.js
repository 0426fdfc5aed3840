// A group is leased for five minutes, and the lease renewed each minute while the page is visible and used.
const LEFT = "yanshou-review-left-" + storeId;
const LEASE_MS = 300000, RENEW_MS = 60000, TICK_MS = 5000;
let renewed = 0, used = 0; // when the leases were last renewed, and the page last used

for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"]) {
  addEventListener(kind, () => { used = Date.now(); }, { capture: true, passive: true });
}

const tick = () => {
  if (!isWorking() || !current || busy) return;
  const now = Date.now();
  if (now - renewed >= LEASE_MS) goIdle();
  else if (!document.hidden && now - renewed >= RENEW_MS && used > renewed) renew(now);
};

const renew = async (now) => {
  const ids = heldIds(), before = renewed;
  renewed = now;
  const reply = await call("/api/renew", { groups: ids });
  if (reply.ok) keepHeld(ids, reply.data.held);
  else renewed = before;
  if (reply.code === "sign_in") signOut();
};

let idleGroup = null; // the group that was on the screen
const goIdle = () => {
  idleGroup = current.id;
  giveBack(heldIds());
  dropGroups();
  show("idle");
};

byId("idle-go").addEventListener("click", async () => {
  await nextGroup();
  if (current && current.id !== idleGroup) notice(texts.idle_lost);
});

setInterval(tick, TICK_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
addEventListener("pagehide", () => {
  const ids = spareIds();
  if (ids.length) remember("sessionStorage", LEFT, ids);
  giveBackAtOnce(ids);
});
const giveBackLeft = async () => { // after a reload without the server, which has not heard that they were given back
  await giveBack(recall("sessionStorage", LEFT) ?? []);
  remember("sessionStorage", LEFT, []);
};
addEventListener("beforeunload", (event) => { if (busy && !remembered) event.preventDefault(); }); // a reload would lose the answer
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
