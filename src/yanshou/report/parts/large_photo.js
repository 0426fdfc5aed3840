// The large photo is the file itself.

const enlarge = (place) => {
  if (place < 0 || place >= open.length) return;
  opened = place;
  const group = data.groups[shown[at]], photo = open[place];
  const address = group.folder + photo.file;
  byId("large-name").textContent = nameOf(group.photos.indexOf(photo)) + " · " + photo.name;
  byId("large-text").textContent = photo.text;
  byId("large-original").href = address;
  byId("large-previous").disabled = place === 0;
  byId("large-following").disabled = place === open.length - 1;
  largePhoto.src = address;
  if (!large.open) large.showModal();
};

const enlargeNumber = (number) => { // photos without a thumbnail cannot be enlarged
  if (at >= 0) enlarge(open.indexOf(data.groups[shown[at]].photos[number - 1]));
};

largePhoto.addEventListener("error", () => {
  const photo = open[opened];
  const instead = photo ? data.pictures + photo.thumbnail : "";
  if (!photo || largePhoto.getAttribute("src") === instead) return;
  byId("large-name").textContent += " · " + texts.original_failed;
  largePhoto.src = instead;
});
largePhoto.addEventListener("click", () => large.close());
large.addEventListener("close", () => largePhoto.removeAttribute("src"));
byId("large-close").addEventListener("click", () => large.close());
byId("large-previous").addEventListener("click", () => enlarge(opened - 1));
byId("large-following").addEventListener("click", () => enlarge(opened + 1));
