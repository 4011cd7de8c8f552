// The chosen design, spelled out: what was measured and predicted of it, its genes, and its layers.

const BOUND_CLASSES = ["compute", "weight load", "DRAM", "buffer", "NoC", "vector"];
const boundClass = (bound) => `bound-${Math.max(0, BOUND_CLASSES.indexOf(bound) + 1)}`;

/** All that is known of a row, as elements. */
function details(row) {
  const status = { f: "on the front", d: "dominated", i: "infeasible", x: "failed", n: "predicted, not verified" }[study.status[row]];
  const knee = study.knees.includes(row) ? " · a knee of the front" : "";
  const parts = [
    element("h3", {}, row < evaluated ? `Evaluation ${row + 1} ` : "Next candidate ", element("code", {}, study.key[row])),
    element("p", { class: "fine" }, `${status}${knee}, ${chosenBy(row)}`),
  ];
  if (study.reasons[row]) parts.push(element("p", { class: "reason" }, study.reasons[row]));
  parts.push(element("dl", { class: "metrics" }, ...study.metrics.flatMap((metric) => measured(row, metric)), ...afterwards(row)));
  for (const [side, heading] of [["architecture", "Architecture"], ["hardware", "Hardware"]]) parts.push(...genesOf(row, side, heading));
  const notes = study.notes[row] ?? [];
  if (notes.length) parts.push(element("dl", { class: "notes" }, ...notes.flatMap(([name, value]) => pair(name, value))));
  return parts;
}

const pair = (name, ...value) => [element("dt", {}, name), element("dd", {}, ...value)];

function chosenBy(row) {
  const took = study.seconds[row] ? `, took ${number(study.seconds[row])} s` : "";
  return `chosen by ${study.origins[study.origin[row]]}${took}`;
}

function measured(row, metric) {
  const value = metric.measured[row];
  const [mean, deviation] = [metric.predicted?.[row] ?? NaN, metric.deviation?.[row] ?? NaN];
  if (Number.isNaN(value) && Number.isNaN(mean)) return [];
  const said = [];
  if (Number.isNaN(value)) said.push(deviation > 0 ? `predicted, ± ${rough(1.645 * deviation)} holds 90 %` : study.status[row] === "n" ? "computed" : "predicted");
  else if (deviation > 0) said.push(`predicted ${number(mean)} ± ${rough(1.645 * deviation)}`);
  const bar = study.bars[row]?.[metric.name];
  if (bar) said.push(`${rough(bar[0])} to ${rough(bar[1])} by published chips`);
  const remarks = said.map((words) => element("small", {}, words));
  return pair(metric.spoken, amount(Number.isNaN(value) ? mean : value, metric.unit), ...remarks);
}

function afterwards(row) {
  const lines = [];
  if (row in study.tested) lines.push(...pair("accuracy, test set", number(study.tested[row])));
  if (row in study.exact) lines.push(...pair("exact form, points", number(study.exact[row])));
  return lines;
}

/** A side's genes in one line; those numbered one after another (heads_1, heads_2, ...) together, as the profile they are. */
function genesOf(row, side, heading) {
  const active = study.genes.filter((gene) => gene.side === side && gene.index[row] >= 0);
  if (!active.length) return [];
  const runs = new Map();
  for (const gene of active) {
    const stem = /^(.*_)\d+$/.exec(gene.name)?.[1] ?? gene.name;
    runs.set(stem, [...(runs.get(stem) ?? []), gene]);
  }
  const line = element("p", { class: "genes" });
  for (const [stem, run] of runs) {
    const numbers = run.map((gene) => Number(gene.name.slice(stem.length)));
    const follows = run.length > 1 && numbers.every((n, i) => n === numbers[0] + i);
    const words = follows
      ? [[`${stem}${numbers[0]}…${numbers.at(-1)}`, run.map((gene) => gene.values[gene.index[row]]).join(" ")]]
      : run.map((gene) => [gene.name, gene.values[gene.index[row]]]);
    for (const [name, value] of words) line.append(`${name}\u00a0`, element("b", {}, value), " ");
  }
  return [element("h4", {}, `${heading} `, element("small", {}, String(active.length))), line];
}

// ---- layers: bars of time and energy, in a panel that scrolls inside ------------------------------------------------

function layersOf(chip) {
  const [slowest, hungriest] = [Math.max(...chip.time), Math.max(...chip.joules)];
  const bar = (share, kind) => element("td", { class: "bar-cell" }, element("i", { class: `bar-fill ${kind}`, "data-share": share }));
  const rows = chip.name.map((name, i) => element("tr", {},
    element("th", { scope: "row", title: name }, ...breakable(name)),
    element("td", {}, element("span", { class: `bound ${boundClass(chip.bound[i])}` }, chip.bound[i])),
    bar(chip.time[i] / slowest, boundClass(chip.bound[i])), element("td", { class: "n" }, time(chip.time[i])),
    bar(chip.joules[i] / hungriest, "energy"), element("td", { class: "n" }, amount(chip.joules[i], "µJ")),
  ));
  const head = element("tr", {}, ...["layer", "bound by"].map((name) => element("th", { scope: "col" }, name)),
    element("th", { scope: "colgroup", colspan: 2 }, "time"), element("th", { scope: "colgroup", colspan: 2 }, "energy"));
  const table = element("table", { class: "layers" }, element("thead", {}, head), element("tbody", {}, ...rows));
  for (const fill of all(".bar-fill", table)) fill.style.width = `${100 * fill.dataset.share}%`;
  return element("div", { class: "scroll inner", tabindex: 0, role: "region", "aria-label": "layers of the chosen design" }, table);
}

/** A layer's name in pieces, between which a line may end. */
function breakable(name) {
  const pieces = name.split(/(?<=[._/])/);
  return pieces.flatMap((piece, i) => (i ? [element("wbr"), piece] : [piece]));
}

const time = (ms) => (ms < 0.1 ? amount(1000 * ms, "µs") : amount(ms, "ms"));

function drawPanel() {
  const panel = document.getElementById("chosen");
  if (!panel) return;
  on("chosen", () => {
    panel.replaceChildren(...details(state.chosen));
    for (const body of all("tbody[data-row]")) body.classList.toggle("on", Number(body.dataset.row) === state.chosen);
  });
}
