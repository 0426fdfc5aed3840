// Mouse and fingers on the photos: click or double-tap zooms, dragging moves, two fingers or the wheel change the size.
const stage = byId("stage");
const SLIP = 6, DOUBLE_MS = 350; // pixels that a click may move; time between two taps
const fingers = new Map(); // pointer id → {x, y}
let moved = 0, tapped = { when: 0, photo: -1 };

const fromMiddle = ({ clientX, clientY }) => {
  const box = lens.getBoundingClientRect();
  return [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
};
const spread = () => {
  const [a, b] = [...fingers.values()];
  return { apart: Math.hypot(a.x - b.x, a.y - b.y), clientX: (a.x + b.x) / 2, clientY: (a.y + b.y) / 2 };
};

stage.addEventListener("pointerdown", (event) => {
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (fingers.size === 1) moved = 0;
  const touched = event.target.closest(".frame");
  if (fingers.size === 2 && !zoomed() && touched) {
    choose(Number(touched.dataset.photo));
    openZoom(current.photos[at], 1);
  }
});
stage.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const dx = event.clientX - before.x, dy = event.clientY - before.y;
  moved += Math.hypot(dx, dy);
  const old = fingers.size === 2 ? spread() : null;
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (!zoomed() || !event.target.closest("#stage")) return;
  if (old) {
    const now = spread();
    zoomBy(now.apart / Math.max(old.apart, 1), ...fromMiddle(now));
    moveBy(now.clientX - old.clientX, now.clientY - old.clientY);
  } else if (event.target.closest("#lens")) moveBy(dx, dy);
});
for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, (event) => fingers.delete(event.pointerId));

stage.addEventListener("click", (event) => {
  if (moved > SLIP) return;
  const photo = event.target.closest("#lens") ? at : Number(event.target.closest(".frame")?.dataset.photo ?? NaN);
  if (Number.isNaN(photo)) return;
  const twice = performance.now() - tapped.when < DOUBLE_MS && tapped.photo === photo;
  tapped = { when: twice ? 0 : performance.now(), photo };
  if (event.pointerType === "touch" ? twice : event.detail < 2) zoomAt(photo, event);
});

const zoomAt = (photo, event) => {
  if (zoomed()) {
    closeZoom();
    return;
  }
  const image = current.photos[photo].image, box = image.getBoundingClientRect();
  openZoom(current.photos[photo]);
  if (!view) return;
  const x = (event.clientX - box.left) / box.width - 0.5, y = (event.clientY - box.top) / box.height - 0.5;
  const { wide, high } = shownSize();
  moveBy(-x * wide, -y * high);
};

lens.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 400), ...fromMiddle(event));
}, { passive: false });
