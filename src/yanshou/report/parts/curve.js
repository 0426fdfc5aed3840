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
