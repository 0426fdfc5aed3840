// Tables and numbers of the lead's page.
const percentage = (share) => (share === null ? "–" : (100 * share).toFixed(1) + "%");
const seconds = (value) => (value === null ? "–" : value.toFixed(1));

const makeTable = (heads, rows) => { // the first cell of a row is its head
  const frame = make("div", "wide"), table = make("table"), head = make("thead"), body = make("tbody");
  const cells = (tag, row) => row.map((text, place) => {
    const element = make(place ? tag : "th", "", text);
    if (tag === "th" || !place) element.scope = tag === "th" ? "col" : "row";
    return element;
  });
  const line = (tag, row) => {
    const element = make("tr");
    element.append(...cells(tag, row));
    return element;
  };
  head.append(line("th", heads));
  body.append(...rows.map((row) => line("td", row)));
  table.append(head, body);
  frame.append(table);
  frame.tabIndex = 0; // a wide table is scrolled by keys, too
  return frame;
};
