// Only one tab of a browser reviews: tabs share the session, so that one could undo what the other shows.
const tabs = new BroadcastChannel("yanshou-review-" + storeId);
tabs.addEventListener("message", () => {
  if (["signed-out", "elsewhere"].includes(screen)) return;
  giveBack(spareIds());
  dropGroups();
  show("elsewhere");
});
const takeOver = () => tabs.postMessage("here");
