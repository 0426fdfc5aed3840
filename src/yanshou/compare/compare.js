"use strict";
// Filters the changes, which the page holds as text. The part of the address after # keeps the filters.
(() => {
  const byId = (id) => document.getElementById(id);
  const cards = [...document.querySelectorAll("article")];
  const count = byId("count"), search = byId("search");
  if (!count) return; // nothing changed
  const filters = ["mission", "category", "kind"].map(byId).filter(Boolean);
  const haystacks = cards.map((card) => card.textContent.toLowerCase());

  const has = (card, name, value) => !value || card.dataset[name].split("|").includes(value);
  const value = (id) => (byId(id) ? byId(id).value : "");

  const show = () => {
    const text = search.value.trim().toLowerCase();
    const fits = (card, number) =>
      (!value("mission") || card.dataset.mission === value("mission")) &&
      has(card, "categories", value("category")) &&
      has(card, "kinds", value("kind")) &&
      (!text || haystacks[number].includes(text));
    let shown = 0;
    cards.forEach((card, number) => {
      card.hidden = !fits(card, number);
      shown += card.hidden ? 0 : 1;
    });
    const sentence = shown ? count.dataset.text : count.dataset.nothing;
    count.textContent = sentence.replace("{shown}", shown).replace("{total}", cards.length);
  };

  const readAddress = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const filter of filters) {
      filter.value = asked.get(filter.id) || "";
      if (filter.selectedIndex < 0) filter.value = "";
    }
    search.value = asked.get("search") || "";
    show();
  };

  const writeAddress = () => {
    const parts = [...filters, search].filter((one) => one.value);
    try {
      history.replaceState(null, "", "#" + parts.map((one) => one.id + "=" + encodeURIComponent(one.value)).join("&"));
    } catch { /* a text that no address can hold (a lone surrogate) */ }
  };

  const changed = () => {
    show();
    writeAddress();
  };
  for (const filter of filters) filter.addEventListener("change", changed);
  let typing = 0;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(changed, 120);
  });
  byId("reset").addEventListener("click", () => {
    for (const one of [...filters, search]) one.value = "";
    changed();
  });
  for (const image of document.querySelectorAll(".photo img")) {
    const link = image.closest("a");
    const gone = () => {
      link.classList.add("gone");
      link.textContent = link.dataset.gone;
    };
    if (image.complete && !image.naturalWidth && image.currentSrc) gone(); // failed before this script ran
    else image.addEventListener("error", gone);
  }
  addEventListener("hashchange", readAddress);
  readAddress();
})();
