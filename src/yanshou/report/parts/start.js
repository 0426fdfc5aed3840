for (const name of FILTERS) byId(name).addEventListener("change", () => filter(shown[at]));
let typing = 0;
search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => filter(shown[at]), 120);
});
byId("reset").addEventListener("click", () => {
  clearFilters();
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
