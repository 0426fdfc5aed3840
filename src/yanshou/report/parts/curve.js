// The curve: a slider, its arrow keys, or the pointer on the plot choose a threshold. A sentence says what it lets through.

const ofHundred = (count, of) => { // as of_hundred in slip.py
  if ((100 * count) % of === 0) return String((100 * count) / of);
  if (100 * count < of) return texts.fewer_than_one;
  if (100 * count > 99 * of) return texts.more_than_99;
  return fill(texts.about, { n: Math.floor((200 * count + of) / (2 * of)) });
};

const slipSentence = (curve, [, , blocked, released, p], when) => fill(texts.slip, {
  when: fill(when, { p }),
  released: ofHundred(released, curve.fails), fails: fill(texts.counted, { count: released, of: curve.fails }),
  blocked: ofHundred(blocked, curve.passes), passes: fill(texts.counted, { count: blocked, of: curve.passes }),
});

const overLimit = (curve, [, , blocked, released]) => [
  curve.limits[0] !== null && released > curve.limits[0] * curve.fails ? texts.over_release : "",
  curve.limits[1] !== null && blocked > curve.limits[1] * curve.passes ? texts.over_block : "",
].join("");

const nearest = (curve, svg, event) => {
  const box = svg.getBoundingClientRect(), unit = svg.viewBox.baseVal.width / box.width;
  const x = (event.clientX - box.left) * unit, y = (event.clientY - box.top) * unit;
  const distances = curve.points.map((point) => (point[0] - x) ** 2 + (point[1] - y) ** 2);
  return distances.indexOf(Math.min(...distances));
};

for (const element of document.querySelectorAll("figure.curve")) {
  const curve = data.curves[element.dataset.curve], last = curve.points.length - 1;
  const svg = element.querySelector("svg"), probe = element.querySelector(".probe");
  const slider = element.querySelector("input"), readout = element.querySelector(".readout");
  const before = readout.textContent;
  const show = (number) => {
    const point = curve.points[number];
    probe.setAttribute("cx", point[0]);
    probe.setAttribute("cy", point[1]);
    readout.textContent = slipSentence(curve, point, point[4] === null ? texts.when_none : texts.when_threshold) + overLimit(curve, point);
  };
  let rest = () => { // what the plot shows while nothing points at it
    probe.setAttribute("cx", -9);
    probe.setAttribute("cy", -9);
    readout.textContent = before;
  };
  const choosePoint = (number) => {
    slider.value = last - number; // to the right is stricter, as on the plot
    rest = () => show(number);
    rest();
    slider.setAttribute("aria-valuetext", readout.textContent);
  };
  slider.addEventListener("input", () => choosePoint(last - slider.value));
  svg.addEventListener("pointerdown", (event) => choosePoint(nearest(curve, svg, event)));
  svg.addEventListener("pointermove", (event) => {
    const number = nearest(curve, svg, event);
    if (event.buttons) choosePoint(number);
    else show(number);
  });
  svg.addEventListener("pointerleave", () => rest());
}
