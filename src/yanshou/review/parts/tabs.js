// Only one tab of a browser reviews: tabs share the session, and would be given the same groups.
const tabs = new BroadcastChannel("yanshou-review-" + storeId);
tabs.addEventListener("message", () => {
  if (["signed-out", "elsewhere"].includes(screen)) return;
  dropGroups();
  show("elsewhere");
});
const takeOver = () => tabs.postMessage("here");
