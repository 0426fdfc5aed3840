"use strict";
// The data is untrusted: it is inserted as text (textContent, or the value of an attribute that names a picture), never as markup.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const texts = data.texts;
  const ROW = 52; // height of a row in pixels, as in the style sheet
  const OVERSCAN = 8; // rows rendered above and below the visible ones
  const WRONG = new Set(["false-release", "error", "false-block"]);
  const FILTERS = ["mission", "outcome", "label", "verdict"];
  const list = byId("list"), spacer = byId("spacer"), rows = byId("rows"), article = byId("group"), review = byId("review");
  const search = byId("search"), large = byId("large"), largePhoto = byId("large-photo");

  let shown = []; // numbers of the groups that match the filters, worst first
  let at = -1; // index in `shown` of the chosen group
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
  const outcomeText = (group) => texts["outcome_" + group.outcome.replace(/-/g, "_")];
  const says = (label) => texts["says_" + (label || "none")];

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

  const choose = (place) => {
    at = shown.length ? Math.min(Math.max(place, 0), shown.length - 1) : -1;
    const top = at * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    paint();
    showGroup();
    writeAddress();
  };

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
    add(texts.human, says(group.label));
    add(texts.verdict, says(group.verdict));
    if (group.rules !== null) add(texts.rules_say, says(group.rules));
    if (group.p !== null) {
      const limit = data.threshold === null ? "" : fill(texts.at_threshold, { p: data.threshold });
      add(texts.p_pass, group.p + limit).append(scale(group.p));
    }
    return element;
  };

  const said = (group) => {
    const element = make("dl", "said");
    const add = (name, text) => element.append(make("dt", "", name), make("dd", "", text));
    if (group.reason !== null) add(texts.reason, group.reason);
    if (group.fileVerdict !== group.verdict) {
      add(texts.verdict, fill(texts.file_verdict, { verdict: says(group.fileVerdict), now: says(group.verdict) }));
    }
    if (group.fault !== null) add(texts.fault, group.fault);
    if (group.rules !== null) add(texts.rules_reason, group.rulesReason);
    return element;
  };

  const scale = (p) => {
    const element = make("span", "scale"), bar = make("i");
    element.setAttribute("aria-hidden", "true");
    bar.style.width = 100 * p + "%";
    element.append(bar);
    if (data.threshold !== null) {
      const tick = make("b");
      tick.style.left = 100 * data.threshold + "%";
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
    image.src = "thumbnails/" + photo.thumbnail;
    button.append(image);
    button.addEventListener("click", () => enlarge(open.indexOf(photo)));
    return button;
  };

  // The large photo is the file itself.

  const enlarge = (place) => {
    if (place < 0 || place >= open.length) return;
    opened = place;
    const group = data.groups[shown[at]], photo = open[place];
    const address = group.folder + photo.file;
    byId("large-name").textContent = nameOf(group.photos.indexOf(photo)) + " · " + photo.name;
    byId("large-text").textContent = photo.text;
    byId("large-original").href = address;
    byId("large-previous").disabled = place === 0;
    byId("large-following").disabled = place === open.length - 1;
    largePhoto.src = address;
    if (!large.open) large.showModal();
  };

  const enlargeNumber = (number) => { // photos without a thumbnail cannot be enlarged
    if (at >= 0) enlarge(open.indexOf(data.groups[shown[at]].photos[number - 1]));
  };

  largePhoto.addEventListener("error", () => {
    const photo = open[opened];
    const instead = photo ? "thumbnails/" + photo.thumbnail : "";
    if (!photo || largePhoto.getAttribute("src") === instead) return;
    byId("large-name").textContent += " · " + texts.original_failed;
    largePhoto.src = instead;
  });
  largePhoto.addEventListener("click", () => large.close());
  large.addEventListener("close", () => largePhoto.removeAttribute("src"));
  byId("large-close").addEventListener("click", () => large.close());
  byId("large-previous").addEventListener("click", () => enlarge(opened - 1));
  byId("large-following").addEventListener("click", () => enlarge(opened + 1));

  // Keys.

  const STEPS = { j: 1, ArrowRight: 1, ArrowDown: 1, k: -1, ArrowLeft: -1, ArrowUp: -1 };

  const pressed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const step = STEPS[event.key], inside = review.contains(document.activeElement);
    if (large.open) {
      if (step) enlarge(opened + step);
      else if (/^[1-9]$/.test(event.key)) enlargeNumber(event.key);
      else return; // the browser closes a dialog on Esc
    } else if (event.target.matches("input, select") && !(event.target.matches("select") && /^[jk/1-9]$/.test(event.key))) {
      if (event.key === "Escape" || (event.key === "Enter" && event.target === search)) list.focus({ preventScroll: true });
      else return;
    } else if (event.key === "/") {
      review.scrollIntoView();
      search.focus();
      search.select();
    } else if (/^[1-9]$/.test(event.key)) {
      enlargeNumber(event.key);
    } else if (event.key === " " && inside && !event.target.closest("button, a")) {
      article.scrollBy({ top: (event.shiftKey ? -0.85 : 0.85) * article.clientHeight });
    } else if (step && (inside || !/Up|Down/.test(event.key))) { // above the list, Up and Down scroll the page
      review.scrollIntoView();
      if (!inside) list.focus({ preventScroll: true });
      choose(at + step);
      if (document.activeElement === document.body) list.focus({ preventScroll: true }); // the focused button no longer exists
    } else return;
    event.preventDefault();
  };
  document.addEventListener("keydown", pressed);

  // The curve: shows the error rates at the point nearest to the pointer.

  for (const element of document.querySelectorAll("figure.curve")) {
    const points = data.curves[element.dataset.curve];
    const svg = element.querySelector("svg"), probe = element.querySelector(".probe"), readout = element.querySelector(".readout");
    const before = readout.textContent;
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect(), unit = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * unit, y = (event.clientY - box.top) * unit;
      const distance = (point) => (point[0] - x) ** 2 + (point[1] - y) ** 2;
      const nearest = points.reduce((best, point) => (distance(point) < distance(best) ? point : best));
      const [px, py, block, release, p] = nearest;
      probe.setAttribute("cx", px);
      probe.setAttribute("cy", py);
      readout.textContent = fill(p === null ? texts.probe_none : texts.probe, { p, release: percent(release), block: percent(block) });
    });
    svg.addEventListener("pointerleave", () => {
      probe.setAttribute("cx", -9);
      probe.setAttribute("cy", -9);
      readout.textContent = before;
    });
  }

  for (const name of FILTERS) byId(name).addEventListener("change", () => filter(shown[at]));
  let typing = 0;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => filter(shown[at]), 120);
  });
  byId("reset").addEventListener("click", () => {
    for (const name of FILTERS.concat("search")) byId(name).value = "";
    filter(shown[at]);
  });
  byId("up").addEventListener("click", () => scrollTo(0, 0));
  list.addEventListener("scroll", repaint);
  addEventListener("resize", repaint);
  const follow = () => {
    readAddress();
    review.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => { // a link to the current address triggers no hashchange
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) follow();
  });
  if (location.hash.length > 1) follow();
  else readAddress();
})();
