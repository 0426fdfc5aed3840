// The photos of the groups at hand, fetched as blobs (the server forbids the browser's cache) and decoded before they
// are shown. A photo: {id, number, entries, turn, state: "loading" | "there" | "gone" | "offline", image, address, full}
const AT_ONCE = 3;
const toFetch = [];
let fetching = 0;

const openGroup = (group) => ({ ...group, photos: group.photos.map((photo, place) => openPhoto(photo, place + 1)) });

const openPhoto = ({ id, entries }, number) => {
  const photo = { id, number, entries, turn: 0, state: "loading", image: make("img"), address: null, full: null, dropped: false };
  photo.image.alt = fill(texts.photo, { number });
  photo.image.draggable = false;
  photo.image.decoding = "sync"; // decoded when it was fetched: it is there in the first frame
  toFetch.push(photo);
  fetchPhotos();
  return photo;
};

const fetchPhotos = () => {
  while (fetching < AT_ONCE && toFetch.length) {
    fetching += 1;
    fetchPhoto(toFetch.shift()).finally(() => {
      fetching -= 1;
      fetchPhotos();
    });
  }
};

const fetchPhoto = async (photo) => {
  if (photo.dropped) return;
  const { state, address } = await photoBlob(photo, "view");
  if (photo.dropped) {
    if (address) URL.revokeObjectURL(address);
    return;
  }
  photo.state = state;
  photo.address = address;
  if (state === "there") await decodePhoto(photo);
  if (state === "offline") setTimeout(() => { toFetch.push(photo); fetchPhotos(); }, 3000);
  paintPhoto(photo);
};

const decodePhoto = async (photo) => {
  photo.image.src = photo.address;
  try {
    await photo.image.decode();
  } catch {
    if (!photo.dropped) photo.state = "gone";
  }
};

const photoBlob = async (photo, size) => {
  try {
    const reply = await fetch("/photo/" + photo.id + "?size=" + size, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (reply.ok) return { state: "there", address: URL.createObjectURL(await reply.blob()) };
    return { state: reply.status === 503 ? "offline" : "gone", address: null };
  } catch {
    return { state: "offline", address: null };
  }
};

const fetchFull = async (photo) => { // for the zoomed view; the reduced photo stays until it is there
  if (photo.full !== null || photo.state !== "there") return;
  photo.full = "";
  const { address } = await photoBlob(photo, "full");
  if (photo.dropped) {
    if (address) URL.revokeObjectURL(address);
    return;
  }
  photo.full = address; // null where it failed: the next zoom tries again
  if (address) paintZoom(photo);
};

const dropGroup = (group) => {
  for (const photo of group.photos) {
    photo.dropped = true;
    photo.image.removeAttribute("src");
    for (const address of [photo.address, photo.full]) if (address) URL.revokeObjectURL(address);
  }
};
