// Filters: the part of the address after # holds them, so that a link can select groups.

const haystacks = [];
const haystack = (number) => {
  if (haystacks[number] === undefined) {
    const group = data.groups[number];
    const photos = group.photos.map((photo) => photo.name + "\n" + photo.text);
    haystacks[number] = [group.id, group.reason, group.rulesReason, group.fault, ...photos].join("\n").toLowerCase();
  }
  return haystacks[number];
};

const fits = (group, number, wanted, text) =>
  (!wanted.mission || data.missions[group.mission] === wanted.mission) &&
  (!wanted.outcome || group.outcome === wanted.outcome || (wanted.outcome === "wrong" && WRONG.has(group.outcome))) &&
  (!wanted.label || (group.label || "none") === wanted.label) &&
  (!wanted.verdict || (group.verdict || "none") === wanted.verdict) &&
  (!text || haystack(number).includes(text));

const filter = (number) => {
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, byId(name).value]));
  const text = search.value.trim().toLowerCase();
  shown = [];
  data.groups.forEach((group, n) => { if (fits(group, n, wanted, text)) shown.push(n); });
  byId("status").textContent = fill(texts.shown, { shown: shown.length, groups: data.groups.length });
  spacer.style.height = shown.length * ROW + "px";
  choose(Math.max(shown.indexOf(number), 0));
};

const readAddress = () => {
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const name of FILTERS) {
    byId(name).value = asked.get(name) || "";
    if (byId(name).selectedIndex < 0) byId(name).value = "";
  }
  search.value = asked.get("search") || "";
  filter(Number.parseInt(asked.get("group"), 10) - 1);
};

const writeAddress = () => {
  const parts = FILTERS.concat("search").map((name) => [name, byId(name).value]).filter((pair) => pair[1]);
  if (at > 0) parts.push(["group", shown[at] + 1]); // the first group is chosen by default, which keeps the address of a fresh report plain
  try {
    history.replaceState(null, "", "#" + parts.map(([name, value]) => name + "=" + encodeURIComponent(value)).join("&"));
  } catch { /* a text that no address can hold (a lone surrogate), or a browser that allows files no fragment */ }
};
