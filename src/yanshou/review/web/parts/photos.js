// The photos of the group side by side, as many as fit; each with its summary.
const strip = byId("strip");
let at = 0; // index of the chosen photo
const SENTENCES = { loading: "photo_loading", gone: "photo_gone", offline: "photo_offline" };

const showPhotos = (group) => {
  strip.style.setProperty("--photos", Math.max(group.photos.length, 1));
  strip.replaceChildren(...(group.photos.length ? group.photos.map(figure) : [make("p", "gone", texts.no_photos)]));
  byId("numbers").replaceChildren(...group.photos.map(numberButton));
  strip.scrollLeft = 0;
  choose(0);
};

const figure = (photo, place) => {
  const element = make("figure"), caption = make("figcaption");
  caption.append(make("b", "", fill(texts.photo, { number: photo.number })), entryList(photo.entries));
  element.append(frame(photo), caption);
  element.addEventListener("click", () => choose(place));
  return element;
};

const frame = (photo) => {
  const element = make("div", "frame turn-" + photo.turn);
  element.dataset.photo = photo.number - 1;
  element.append(photo.state === "there" ? photo.image : make("p", "gone", texts[SENTENCES[photo.state]]));
  return element;
};

const paintPhoto = (photo) => { // after its state or its turn has changed
  if (!current || !current.photos.includes(photo)) return;
  const old = strip.querySelector('.frame[data-photo="' + (photo.number - 1) + '"]');
  if (old) old.replaceWith(frame(photo));
  paintMissing();
  paintZoom(photo);
};

const paintMissing = () => {
  const count = current.photos.filter((photo) => photo.state === "gone").length;
  byId("missing").hidden = !count;
  byId("missing").textContent = count ? fill(texts.photos_missing, { count }) : "";
};

const numberButton = (photo, place) => {
  const element = makeButton("number", String(photo.number), () => choose(place));
  element.setAttribute("aria-label", fill(texts.photo_of, { number: photo.number, photos: current.photos.length }));
  return element;
};

const choose = (place) => {
  if (!current || !current.photos.length) return;
  at = Math.min(Math.max(place, 0), current.photos.length - 1);
  const figures = [...strip.children];
  figures.forEach((element, number) => element.classList.toggle("chosen", number === at));
  [...byId("numbers").children].forEach((element, number) => {
    if (number === at) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
  });
  bringIntoView(figures[at], strip);
  bringIntoView(byId("numbers").children[at], byId("numbers"));
  byId("previous").disabled = at === 0;
  byId("following").disabled = at === current.photos.length - 1;
  if (zoomed()) openZoom(current.photos[at]);
};

const bringIntoView = (element, box) => { // scrollIntoView would also move the page
  const inside = element.getBoundingClientRect(), outside = box.getBoundingClientRect();
  if (inside.left < outside.left - 1) box.scrollLeft += inside.left - outside.left;
  else if (inside.right > outside.right + 1) box.scrollLeft += inside.right - outside.right;
};

let settling = 0;
strip.addEventListener("scroll", () => { // a finger swiped: what is in the middle is chosen
  clearTimeout(settling);
  settling = setTimeout(() => {
    if (!current || strip.scrollWidth <= strip.clientWidth + 1) return;
    const box = strip.getBoundingClientRect(), chosenBox = strip.children[at].getBoundingClientRect();
    if (chosenBox.left >= box.left - 2 && chosenBox.right <= box.right + 2) return;
    const away = (element) => Math.abs(element.getBoundingClientRect().left + element.offsetWidth / 2 - box.left - box.width / 2);
    const order = [...strip.children].map((element, place) => [away(element), place]).sort((a, b) => a[0] - b[0]);
    choose(order[0][1]);
  }, 120);
});

const turnPhoto = () => {
  const photo = current?.photos[at];
  if (!photo) return;
  photo.turn = (photo.turn + 1) % 4;
  paintPhoto(photo);
};
byId("previous").addEventListener("click", () => choose(at - 1));
byId("following").addEventListener("click", () => choose(at + 1));
byId("turn").addEventListener("click", turnPhoto);
