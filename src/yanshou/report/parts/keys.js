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
