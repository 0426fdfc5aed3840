// The groups that readers disagree about: each waits for a third reader or for the lead.
let disputes = []; // as the last reply has them

const paintDisputes = ({ count, groups }) => {
  disputes = groups;
  const notes = [count ? texts.lead_disputes_note : texts.lead_disputes_none];
  if (count > groups.length) notes.push(fill(texts.lead_disputes_more, { count, shown: groups.length }));
  const list = make("div", "disputes");
  list.append(...groups.map(disputeCard));
  byId("disputes").replaceChildren(...notes.map((note) => make("p", "quiet", note)), list);
};

const disputeCard = (group) => {
  const card = make("article", "dispute"), head = make("p");
  head.append(make("b", "", group.mission), " ", make("span", "quiet", texts["lead_waits_" + group.step]));
  card.append(head, saidList(group.answers), makeButton("", texts.lead_open_group, () => openDispute(group.id)));
  return card;
};

const saidList = (answers) => {
  const list = make("ul", "said");
  for (const one of answers) {
    const item = make("li");
    item.append(make("span", "who", one.reader), make("b", one.label, texts[one.label]));
    if (one.reason) item.append(" " + one.reason);
    if (!one.blind) item.append(" ", make("span", "quiet", texts.lead_not_blind_mark));
    list.append(item);
  }
  return list;
};
