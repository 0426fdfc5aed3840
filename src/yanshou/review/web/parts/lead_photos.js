// The photos of the open group, each with its summary; one at a time in full size.
let shownPhotos = [];
let largeAt = 0, turned = 0;

const paintPhotos = (photos) => {
  shownPhotos = photos;
  byId("dispute-photos").replaceChildren(...(photos.length ? photos.map(photoFigure) : [make("p", "quiet", texts.no_photos)]));
};

const photoFigure = ({ id, entries }, place) => {
  const figure = make("figure"), caption = make("figcaption"), image = make("img"), title = photoTitle(place);
  const button = makeButton("frame", "", () => openLarge(place));
  button.setAttribute("aria-label", texts.zoom + " " + title);
  image.alt = title;
  image.src = "/photo/" + id + "?size=view";
  image.addEventListener("error", () => button.replaceWith(make("p", "gone", texts.photo_gone)));
  button.append(image);
  caption.append(make("b", "", title), entryList(entries));
  figure.append(button, caption);
  return figure;
};

const photoTitle = (place) => fill(texts.photo_of, { number: place + 1, photos: shownPhotos.length });

const openLarge = (place) => {
  largeAt = place;
  turned = 0;
  byId("large-title").textContent = photoTitle(place);
  byId("large-photo").src = "/photo/" + shownPhotos[place].id + "?size=full";
  byId("large-frame").className = "";
  if (!byId("large").open) byId("large").showModal();
};
const otherLarge = (step) => openLarge((largeAt + step + shownPhotos.length) % shownPhotos.length);
const turnLarge = () => {
  turned = (turned + 1) % 4;
  byId("large-frame").className = "turn-" + turned;
};

byId("before-photo").addEventListener("click", () => otherLarge(-1));
byId("after-photo").addEventListener("click", () => otherLarge(1));
byId("turn").addEventListener("click", turnLarge);
byId("close-large").addEventListener("click", () => byId("large").close());
byId("large").addEventListener("keydown", (event) => {
  const act = { ArrowLeft: () => otherLarge(-1), ArrowRight: () => otherLarge(1), t: turnLarge }[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});
