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

const paintDecided = (decided) => { // the lead's own final answers, to look at again or to change
  const box = byId("decided"), list = make("div", "disputes");
  box.hidden = !decided.length;
  list.append(...decided.map((one) => {
    const card = make("article", "dispute"), said = make("p");
    said.append(make("span", "who", one.reader), make("b", one.label, texts[one.label]), " " + one.reason);
    card.append(make("p", "", one.mission), said, makeButton("", texts.lead_open_again, () => openDispute(one.id)));
    return card;
  }));
  byId("decided-list").replaceChildren(list);
};

const saidList = (answers) => {
  const list = make("ul", "said");
  for (const one of answers) {
    const item = make("li");
    item.append(make("span", "who", one.reader), make("b", one.label, texts[one.label]));
    if (one.reason) item.append(" ", make("bdi", "", one.reason)); // its direction ends with it
    if (!one.blind) item.append(" ", make("span", "quiet", texts.lead_not_blind_mark));
    list.append(item);
  }
  return list;
};
