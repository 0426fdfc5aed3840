// The list: only visible rows are in the page.

const paint = () => {
  const first = Math.max(Math.floor(list.scrollTop / ROW) - OVERSCAN, 0);
  const last = Math.min(first + Math.ceil(list.clientHeight / ROW) + 2 * OVERSCAN, shown.length);
  rows.style.transform = "translateY(" + first * ROW + "px)";
  rows.replaceChildren(...shown.slice(first, last).map((number, offset) => row(number, first + offset)));
  if (at >= first && at < last) list.setAttribute("aria-activedescendant", "row-" + at);
  else list.removeAttribute("aria-activedescendant");
};

const row = (number, place) => {
  const group = data.groups[number];
  const element = make("div", "row");
  element.id = "row-" + place;
  element.setAttribute("role", "option");
  element.setAttribute("aria-selected", String(place === at));
  element.setAttribute("aria-setsize", String(shown.length));
  element.setAttribute("aria-posinset", String(place + 1));
  element.append(
    make("span", "id", group.id),
    make("span", "badge " + group.outcome, outcomeText(group)),
    make("span", "where", data.missions[group.mission]),
    make("span", "p", group.p === null ? "" : group.p.toFixed(4)),
  );
  element.addEventListener("click", () => choose(place));
  return element;
};

let painting = 0;
const repaint = () => {
  if (!painting) painting = requestAnimationFrame(() => { painting = 0; paint(); });
};

const choose = (place) => { // as a person does
  named = true;
  show(place);
};

const show = (place) => {
  at = shown.length ? Math.min(Math.max(place, 0), shown.length - 1) : -1;
  const top = at * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  paint();
  showGroup();
  writeAddress();
};
