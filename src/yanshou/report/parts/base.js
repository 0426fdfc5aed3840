// The data is untrusted: it is inserted as text (textContent, or the value of an attribute that names a picture), never as markup.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const texts = data.texts;
const ROW = 52; // height of a row in pixels, as in the style sheet
const OVERSCAN = 8; // rows rendered above and below the visible ones
const WRONG = new Set(["false-release", "error", "false-block"]);
const FILTERS = ["mission", "outcome", "label", "verdict", "decision", "flag"];
const list = byId("list"), spacer = byId("spacer"), rows = byId("rows"), article = byId("group"), review = byId("review");
const search = byId("search"), large = byId("large"), largePhoto = byId("large-photo");

let shown = []; // numbers of the groups that match the filters, worst first
let at = -1; // index in `shown` of the chosen group
let named = false; // whether the address names the chosen group; one that is chosen by default leaves it plain
let open = []; // photos of the chosen group that can be enlarged
let opened = 0; // index in `open` of the enlarged photo

const make = (tag, name, text) => {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined && text !== null) element.textContent = text;
  return element;
};
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
const percent = (share) => (100 * share).toFixed(1) + "%";
const isLabelled = data.groups.some((group) => group.label);
const outcomeText = (group) => (group.outcome === "no-label" && !isLabelled // of new jobs, no group has a label: the verdict says more
  ? texts["verdict_" + group.verdict] : texts["outcome_" + group.outcome.replace(/-/g, "_")]);
const says = (label) => texts["says_" + (label || "none")];
