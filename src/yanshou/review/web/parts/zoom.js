// The chosen photo enlarged: 1 fits the view; x and y move its centre, in pixels of the screen.
const lens = byId("lens"), zoomedPhoto = byId("zoomed-photo");
const FIRST = 2.5, MOST = 12; // times the fitting size
let view = null; // {photo, scale, x, y}; null: closed

const zoomed = () => view !== null;

const openZoom = (photo, scale = FIRST, x = 0, y = 0) => {
  if (!photo || photo.state !== "there") {
    closeZoom();
    return;
  }
  view = { photo, scale, x, y };
  byId("zoomed").hidden = false;
  const name = make("b", "", fill(texts.photo, { number: photo.number }));
  byId("zoomed-text").replaceChildren(name, entryList(photo.entries));
  zoomLabel(texts.zoom_out);
  paintZoom(photo);
  fetchFull(photo);
};

const closeZoom = () => {
  view = null;
  byId("zoomed").hidden = true;
  zoomedPhoto.removeAttribute("src");
  zoomLabel(texts.zoom);
};
const toggleZoom = () => (zoomed() ? closeZoom() : openZoom(current?.photos[at]));
const zoomLabel = (text) => { byId("zoom").firstChild.data = text + " "; };

const paintZoom = (photo) => {
  if (!view || view.photo !== photo) return;
  const address = photo.full || photo.address;
  if (zoomedPhoto.src !== address) zoomedPhoto.src = address;
  zoomedPhoto.alt = photo.image.alt;
  place();
};

const shownSize = () => { // of the turned photo, in pixels of the screen, and its size in relation to the file's
  const { naturalWidth: width, naturalHeight: height } = view.photo.image; // of the reduced photo, also for the full one
  const [wide, high] = view.photo.turn % 2 ? [height, width] : [width, height];
  const times = Math.min(lens.clientWidth / wide, lens.clientHeight / high) * view.scale;
  return { wide: wide * times, high: high * times, times };
};

const place = () => {
  const { wide, high, times } = shownSize();
  const within = (offset, size, box) => Math.min(Math.max(offset, -Math.max((size - box) / 2, 0)), Math.max((size - box) / 2, 0));
  view.x = within(view.x, wide, lens.clientWidth);
  view.y = within(view.y, high, lens.clientHeight);
  zoomedPhoto.style.width = view.photo.image.naturalWidth + "px";
  zoomedPhoto.style.transform = "translate(-50%, -50%) translate(" + view.x + "px, " + view.y + "px) rotate(" + 90 * view.photo.turn + "deg) scale(" + times + ")";
};

const zoomBy = (factor, x = 0, y = 0) => { // about a point, from the middle of the view
  if (!view) return;
  const scale = Math.min(Math.max(view.scale * factor, 1), MOST), ratio = scale / view.scale;
  Object.assign(view, { scale, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio });
  place();
};

const moveBy = (x, y) => {
  Object.assign(view, { x: view.x + x, y: view.y + y });
  place();
};
byId("zoom").addEventListener("click", toggleZoom);
addEventListener("resize", () => { if (view) place(); });
