// How far readers agree: the unbiased figure first, that of pairs that were chosen apart from it.
const ANSWERS = ["pass", "fail", "unsure"];

const paintAgreement = (agreement) => {
  const box = byId("agreement"), { random_share: drawn, chosen: others } = agreement;
  const notBlind = agreement.not_blind ? [make("p", "quiet", fill(texts.lead_not_blind, { count: agreement.not_blind }))] : [];
  if (!drawn.pairs && !others.pairs) {
    box.replaceChildren(make("p", "quiet", texts.lead_agreement_none), ...notBlind);
    return;
  }
  const heads = [texts.lead_pairs_of, texts.lead_groups, texts.lead_same, "Cohen’s kappa", ...ANSWERS.map((answer) => texts[answer])];
  const rows = [agreementRow(texts.lead_random, drawn), agreementRow(texts.lead_chosen, others)];
  const notes = [texts.lead_kappa_note, ...(others.pairs ? [texts.lead_chosen_note] : [])];
  for (const [name, part] of [[texts.lead_random, drawn], [texts.lead_chosen, others]]) {
    const left = part.kappa.undefined_draws;
    if (part.kappa.value === null) continue;
    if (part.kappa.low === null) notes.push(fill(texts.lead_no_interval, { name }));
    else if (left) notes.push(fill(texts.lead_draws, { name, left, draws: agreement.draws }));
  }
  box.replaceChildren(makeTable(heads, rows), ...notes.map((note) => make("p", "quiet", note)), ...notBlind, confusion(agreement));
};

const agreementRow = (name, part) => [
  name, part.pairs, between(percentage(part.raw.share), part.raw, percentage), kappaText(part),
  ...ANSWERS.map((answer) => percentage(part.prevalence[answer])),
];
const kappaText = ({ pairs, kappa }) => {
  if (kappa.value === null) return pairs ? texts.lead_kappa_undefined : "–";
  return between(kappa.value.toFixed(2), kappa, (value) => value.toFixed(2));
};
const between = (text, { low, high }, format) => (low === null ? text : text + " [" + format(low) + ", " + format(high) + "]");

const confusion = (agreement) => {
  const box = make("details"), tables = make("div", "tables");
  box.append(make("summary", "", texts.lead_confusion), tables);
  const add = (row, column, table) => {
    const heads = [row + " \\ " + column, ...ANSWERS.map((answer) => texts[answer])];
    tables.append(makeTable(heads, table.map((counts, place) => [texts[ANSWERS[place]], ...counts])));
  };
  add(texts.lead_earlier, texts.lead_later, agreement.pooled_table);
  for (const { readers, table } of agreement.readers) add(...readers, table);
  box.open = byId("agreement").querySelector("details")?.open ?? false; // as it was before the page was refreshed
  return box;
};
