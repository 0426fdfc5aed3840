// A photo's summary: one line per entry, the words that the mission's rule asks about marked in one neutral colour.
const entryList = (entries) => {
  if (!entries.length) return make("p", "quiet", texts.no_summary);
  const list = make("ul", "entries");
  list.lang = "zh";
  for (const entry of entries) {
    const item = make("li");
    item.append(...entry.map(([text, matters]) => (matters ? make("mark", "", text) : text)));
    list.append(item);
  }
  return list;
};
