// Keys. None is taken while an input method composes; a held key decides nothing; in a text field only Enter and Escape count.
const isComposing = (event) => event.isComposing || event.keyCode === 229; // 229: some browsers, at the end of composing
const LABELS = { j: "pass", f: "fail", u: "unsure" };
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }; // where the picture moves
const STEP = 0.2; // of the view

document.addEventListener("keydown", (event) => {
  if (isComposing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]") || event.target.closest("#notices")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const act = isWorking() && current ? workKey(event, key) : screen === "done" ? ANY_KEYS[key] : null; // between two groups: none
  if (!act || (event.repeat && !(key in ARROWS))) return;
  event.preventDefault();
  act();
});

const onControl = (event, key) => (key === "Enter" || key === " ") && event.target.closest("button, summary");
const workKey = (event, key) => (event.target === field ? fieldKey(key) : onControl(event, key) ? null : groupKey(key));
const fieldKey = (key) => ({ Enter: saveAnswer, Escape: withdraw })[key];

const groupKey = (key) => {
  if (key in LABELS) return () => openPanel(LABELS[key]);
  if (panelOpen()) return panelKey(key);
  if (key >= "1" && key <= "9") return () => { if (Number(key) <= current.photos.length) choose(Number(key) - 1); };
  if (key in ARROWS) return () => arrow(key);
  return GROUP_KEYS[key] ?? ANY_KEYS[key];
};

const panelKey = (key) => {
  if (key >= "1" && key <= "9") return () => pick(Number(key) - 1);
  if (key in ARROWS) return () => arrow(key);
  return { Enter: saveAnswer, Escape: withdraw, "/": () => field.focus(), " ": toggleZoom, t: turnPhoto }[key];
};

const GROUP_KEYS = {
  " ": toggleZoom, "+": () => zoomBy(1.4), "=": () => zoomBy(1.4), "-": () => zoomBy(1 / 1.4), Escape: closeZoom, t: turnPhoto,
};
const ANY_KEYS = { // also when no group is left
  z: () => undo(answered.at(-1)), r: () => { if (!busy) reveal(answered.at(-1)); }, h: openHistory,
  "?": () => byId("help").showModal(), "？": () => byId("help").showModal(),
};

const arrow = (key) => {
  const [x, y] = ARROWS[key];
  if (zoomed()) moveBy(x * STEP * lens.clientWidth, y * STEP * lens.clientHeight);
  else if (x) choose(at - x);
  else strip.children[at]?.querySelector("figcaption")?.scrollBy(0, -y * 60);
};

document.addEventListener("click", (event) => { // a button that was clicked would take the next Enter or space
  if (!event.detail || !isWorking() || !event.target.closest("button") || document.querySelector("dialog[open]")) return;
  (panelOpen() ? panel : byId("work")).focus({ preventScroll: true });
});
for (const dialog of document.querySelectorAll("dialog")) dialog.querySelector(".close").addEventListener("click", () => dialog.close());
byId("open-help").addEventListener("click", () => byId("help").showModal());
