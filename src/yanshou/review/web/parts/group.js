// One group on the screen.
let shownAt = 0, awaySince = 0, away = 0; // for the seconds that it was looked at

const showGroup = (group) => {
  const begun = performance.now();
  current = group;
  closePanel();
  closeZoom();
  show("work");
  byId("where").textContent = group.mission;
  byId("rule-text").textContent = missions.get(group.mission)?.rule ?? "";
  showMachine(group);
  showBefore(group);
  giveBackDrafts();
  showPhotos(group);
  paintMissing();
  showProgress();
  tellUnseen(fill(texts.new_group, { photos: group.photos.length }));
  [shownAt, away, awaySince] = [begun, 0, performance.now()];
  requestAnimationFrame(() => setTimeout(() => performance.measure("group shown", { start: begun, end: performance.now() })));
};

const showBefore = (group) => { // after an undo
  byId("before").hidden = !group.before;
  byId("before").textContent = group.before ? fill(texts.before, { answer: answerText(group.before) }) : "";
};

const showProgress = () => { byId("progress").textContent = left === null ? "" : fill(texts.progress, { today, left }); };

document.addEventListener("visibilitychange", () => {
  if (document.hidden) awaySince = performance.now();
  else away += performance.now() - awaySince;
});
const secondsLookedAt = () => Math.max(Math.round((performance.now() - shownAt - away) / 100) / 10, 0);
