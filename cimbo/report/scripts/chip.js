// The chosen design on its chip: a roofline with its layers, time and energy of each layer, energy and area by part.

function drawChip() {
  const host = document.getElementById("chip-view");
  if (!host) return;
  if (!Object.keys(study.chips).length) return;
  const heading = element("p", { class: "fine" });
  const roofHost = element("figure", { class: "cell" }, element("figcaption", {}, "Roofline"));
  const layerHost = element("figure", { class: "cell" }, element("figcaption", {}, "Layers"));
  const energyHost = element("figure", { class: "cell" });
  const areaHost = element("figure", { class: "cell" });
  const grid = element("div", { class: "grid" }, roofHost, layerHost, energyHost, areaHost);
  host.replaceChildren(heading, grid);
  let chip = null;

  const colours = palette();
  const plot = new Plot(roofHost, {
    about: "Roofline: operations a second that each layer attains over its operations a byte of DRAM, below the roofs of arrays and DRAM. The table of layers has the numbers.",
    height: 300, draw: marks, lines: roofs,
  });
  const legend = element("div", { class: "legend" });
  const roofNote = element("p", { class: "fine" });
  roofHost.append(legend, roofNote);

  const placedLayers = () => chip.name.map((_, i) => i).filter((i) => chip.tops[i] !== null);
  /** A layer that moves nothing over the DRAM has no end of operations a byte: it stands at the right edge. */
  function placeOf(i) {
    const [x, y] = plot.place(chip.intensity[i] ?? 1, chip.tops[i]);
    return [chip.intensity[i] === null ? plot.width - 4 : x, y];
  }

  function marks(context) {
    const slowest = Math.max(...chip.time);
    for (const i of placedLayers()) {
      const [x, y] = placeOf(i);
      context.beginPath();
      context.globalAlpha = 0.75;
      context.fillStyle = colours[boundClass(chip.bound[i])];
      context.arc(x, y, 3 + 9 * Math.sqrt(chip.time[i] / slowest), 0, 2 * Math.PI);
      context.fill();
      context.globalAlpha = 1;
      context.strokeStyle = colours.card;
      context.stroke();
    }
  }

  function roofs() {
    const ridge = chip.peak * 1000 / chip.dram; // operations a byte at which both roofs meet
    const left = plot.x.value(0);
    const points = [[left, left * chip.dram / 1000], [ridge, chip.peak], [plot.x.value(1), chip.peak]];
    const path = points.map(([x, y]) => plot.place(Math.max(x, left), y).map((v) => v.toFixed(1)).join(" ")).join("L");
    const [, top] = plot.place(ridge, chip.peak);
    return [
      element("svg", { width: plot.width, height: plot.height, class: "cut" }, element("path", { d: `M${path}`, class: "roof" })),
      element("text", { x: plot.width - 4, y: top - 6, class: "note end" }, `arrays ${number(chip.peak)} TOPS`),
    ];
  }

  plot.area.addEventListener("pointermove", (event) => {
    if (!chip) return;
    const box = plot.area.getBoundingClientRect();
    let [best, reach] = [-1, 18];
    for (const i of placedLayers()) {
      const [x, y] = placeOf(i);
      const away = Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top);
      if (away < reach) [best, reach] = [i, away];
    }
    if (best < 0) { hideTip(); return; }
    showTip([chip.name[best], `bound by ${chip.bound[best]}`, `${time(chip.time[best])}, ${amount(chip.joules[best], "µJ")}`,
      `${number(chip.tops[best])} TOPS`, chip.intensity[best] === null ? "nothing over the DRAM" : `${number(chip.intensity[best])} operations a byte of DRAM`].join("\n"), event.clientX, event.clientY);
  });
  plot.area.addEventListener("pointerleave", hideTip);

  function parts(figure, name, values, unit) {
    const every = Object.entries(values).sort((a, b) => b[1] - a[1]);
    const total = every.reduce((sum, [, value]) => sum + value, 0);
    const rows = every.map(([part, value]) => {
      const fill = element("i", { class: "bar-fill energy" }); // the longest is the first
      fill.style.width = `${100 * value / every[0][1]}%`;
      return element("tr", {}, element("th", { scope: "row" }, part.replaceAll("_", " ")), element("td", { class: "bar-cell" }, fill),
        element("td", { class: "n" }, amount(value, unit)), element("td", { class: "n" }, `${(100 * value / total).toFixed(1)} %`));
    });
    figure.replaceChildren(element("figcaption", {}, `${name}: ${amount(total, unit)}`), element("table", { class: "layers parts" }, element("tbody", {}, ...rows)));
  }

  function update() {
    chip = study.chips[state.chosen] ?? null;
    grid.hidden = !chip;
    heading.textContent = chip
      ? `${rowName(state.chosen)} ${study.key[state.chosen]}: choose another design in the picture or the table.`
      : `The layers of ${state.chosen < 0 ? "no design" : rowName(state.chosen)} are not in this report; those of ${Object.keys(study.chips).length} designs of the front and next candidates are. cimbo explain shows them of any.`;
    if (!chip) return;
    const known = placedLayers();
    const ridge = chip.peak * 1000 / chip.dram;
    const x = numberScale([...known.map((i) => chip.intensity[i] ?? NaN), ridge / 4, ridge * 4], { log: true, label: "operations a byte of DRAM" });
    const y = numberScale([...known.map((i) => chip.tops[i]), chip.peak], { log: true, label: "attained (TOPS)", room: 0.1 });
    plot.axes(x, y);
    const bounds = BOUND_CLASSES.filter((bound) => known.some((i) => chip.bound[i] === bound));
    legend.replaceChildren(...bounds.map((bound) => element("span", { class: "entry" }, element("i", { class: `mark-dot ${boundClass(bound)}` }), bound)));
    const left = chip.name.length - known.length;
    const inside = known.filter((i) => chip.intensity[i] === null).length;
    const words = [`A dot is a layer; its area goes with its time. DRAM ${number(chip.dram)} GB/s.`];
    if (inside) words.push(`${inside} layers move nothing over the DRAM: they stand at the right edge.`);
    if (left) words.push(`${left} layers multiply nothing and have no place here.`);
    roofNote.textContent = words.join(" ");
    layerHost.replaceChildren(element("figcaption", {}, `${chip.name.length} layers: what bounds them, time and energy`), layersOf(chip));
    parts(energyHost, "Energy by part", chip.energy, "µJ");
    parts(areaHost, "Area by part", chip.area, "mm²");
  }
  on("chosen", update);
}
