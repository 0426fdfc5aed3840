// One group.

const showGroup = () => {
  article.scrollTop = 0;
  if (at < 0) {
    open = [];
    article.replaceChildren(make("p", "quiet", texts.nothing));
    return;
  }
  const group = data.groups[shown[at]];
  open = group.photos.filter((photo) => photo.thumbnail);
  const photos = make("div", "photos");
  photos.append(...group.photos.map((photo, number) => figure(photo, number)));
  article.replaceChildren(head(group), facts(group), said(group), group.photos.length ? photos : make("p", "quiet", texts.no_photos));
};

const head = (group) => {
  const element = make("div", "head"), nav = make("nav");
  element.append(make("h2", "", group.id), make("span", "badge " + group.outcome, outcomeText(group)), make("span", "quiet", data.missions[group.mission]), nav);
  nav.append(...[["previous_group", -1], ["following_group", 1]].map(([word, step]) => {
    const button = make("button", "", texts[word]);
    button.type = "button";
    button.disabled = at + step < 0 || at + step >= shown.length;
    button.addEventListener("click", () => choose(at + step));
    return button;
  }));
  return element;
};

const facts = (group) => { // all verdicts about the group, in one line
  const element = make("dl", "facts");
  const add = (name, text) => {
    const pair = make("div"), value = make("dd", "", text);
    pair.append(make("dt", "", name), value);
    element.append(pair);
    return value;
  };
  add(texts.human, says(group.label) + (group.given === group.label ? "" : fill(texts.label_given, { given: says(group.given) })));
  add(texts.verdict, says(group.verdict));
  if (group.decision !== null) add(texts.decision, texts["decision_" + group.decision]);
  if (group.rules !== null) add(texts.rules_say, says(group.rules));
  if (group.p !== null) {
    const limit = data.threshold === null ? "" : fill(texts.at_threshold, { p: data.threshold });
    add(texts.p_pass, group.p + limit).append(scale(group));
  }
  return element;
};

const said = (group) => {
  const element = make("dl", "said");
  const add = (name, text) => element.append(make("dt", "", name), make("dd", "", text));
  if (group.reason !== null) add(texts.reason, group.reason);
  if (group.reasonProblems.length) element.append(make("dt", "", texts.reason_check), wrong(group));
  if (group.fileVerdict !== group.verdict) {
    add(texts.verdict, fill(texts.file_verdict, { verdict: says(group.fileVerdict), now: says(group.verdict) }));
  }
  if (group.fault !== null) add(texts.fault, group.fault);
  if (group.rules !== null) add(texts.rules_reason, group.rulesReason);
  return element;
};

const wrong = (group) => { // what is wrong with its reason
  const element = make("dd"), problems = make("ul", "problems");
  problems.append(...group.reasonProblems.map((problem) => make("li", "", problem)));
  element.append(make("strong", "false-release", texts["reason_" + group.reasonOutcome]), problems);
  return element;
};

const scale = (group) => {
  const element = make("span", "scale"), bar = make("i");
  element.setAttribute("aria-hidden", "true");
  bar.style.width = 100 * group.p + "%";
  element.append(bar);
  for (const threshold of data.thresholds[group.mission]) {
    const tick = make("b");
    tick.style.left = 100 * threshold + "%";
    element.append(tick);
  }
  return element;
};

const nameOf = (number) => fill(texts.photo, { number: number + 1 });

const figure = (photo, number) => {
  const element = make("figure"), caption = make("figcaption");
  caption.append(make("strong", "", nameOf(number)), photo.text ? summary(photo.text) : make("p", "quiet", texts.no_summary), make("span", "file", photo.name));
  element.append(photo.thumbnail ? thumbnail(photo, number) : make("div", "gone", texts["photo_" + photo.state]), caption);
  return element;
};

const summary = (text) => { // one line per entry, nothing left out
  const element = make("p", "summary");
  element.append(...text.match(/[^，]*，|[^，]+/g).map((entry) => make("span", "", entry)));
  return element;
};

const thumbnail = (photo, number) => {
  const button = make("button"), image = make("img");
  button.type = "button";
  button.setAttribute("aria-label", fill(texts.enlarge, { photo: nameOf(number) }));
  image.alt = "";
  image.loading = "lazy";
  image.decoding = "async";
  image.addEventListener("error", () => button.replaceWith(make("div", "gone", texts.thumbnail_missing)));
  image.src = data.pictures + photo.thumbnail;
  button.append(image);
  button.addEventListener("click", () => enlarge(open.indexOf(photo)));
  return button;
};
