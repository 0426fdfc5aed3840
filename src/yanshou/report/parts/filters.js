// The part of the address after # holds the filters, and the group by its identity: group (its id), in (its mission) and
// given (the label of its folder). So a bookmark finds the group in every report, whatever its place there.

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
  (!wanted.decision || group.decision === wanted.decision) &&
  (!wanted.flag || (wanted.flag === "none" ? !group.flags.length : wanted.flag === "any" ? group.flags.length > 0 : group.flags.includes(wanted.flag))) &&
  (!text || haystack(number).includes(text));

const filter = (number) => {
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, byId(name).value]));
  const text = search.value.trim().toLowerCase();
  shown = [];
  data.groups.forEach((group, n) => { if (fits(group, n, wanted, text)) shown.push(n); });
  byId("status").textContent = fill(data.evaluated > data.groups.length ? texts.shown_packed : texts.shown, {
    shown: shown.length, groups: data.groups.length, evaluated: data.evaluated,
  });
  spacer.style.height = shown.length * ROW + "px";
  list.style.setProperty("--rows", Math.max(shown.length, 1));
  named &&= shown.includes(number);
  show(Math.max(shown.indexOf(number), 0));
};

const clearFilters = () => { for (const name of FILTERS.concat("search")) byId(name).value = ""; };

const find = (asked) => { // the number of the group that an address names; -1: it is not in this report
  const id = asked.get("group"), mission = asked.get("in"), given = asked.get("given");
  const exact = data.groups.findIndex((group) => group.id === id &&
    (!mission || data.missions[group.mission] === mission) && (!given || (group.given || "none") === given));
  // Addresses of yanshou 0.4 and earlier hold the place of the group instead, from 1.
  return exact < 0 && !mission && /^\d{1,9}$/.test(id) && id <= data.groups.length ? id - 1 : exact;
};

const readAddress = () => {
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const name of FILTERS) {
    byId(name).value = asked.get(name) || "";
    if (byId(name).selectedIndex < 0) byId(name).value = "";
  }
  search.value = asked.get("search") || "";
  const number = asked.has("group") ? find(asked) : -1;
  named = number >= 0;
  filter(number);
  if (number >= 0 && !shown.includes(number)) { // its outcome was another one when the bookmark was made
    clearFilters();
    named = true;
    filter(number);
  } else if (number < 0 && asked.has("group")) {
    byId("status").textContent += " · " + fill(texts.not_here, { group: asked.get("group") });
  }
};

const writeAddress = () => {
  const parts = FILTERS.concat("search").map((name) => [name, byId(name).value]).filter((pair) => pair[1]);
  if (named && at >= 0) {
    const group = data.groups[shown[at]];
    parts.push(["group", group.id], ["in", data.missions[group.mission]], ["given", group.given || "none"]);
  }
  try {
    history.replaceState(null, "", "#" + parts.map(([name, value]) => name + "=" + encodeURIComponent(value)).join("&"));
  } catch { /* a text that no address can hold (a lone surrogate), or a browser that allows files no fragment */ }
};
