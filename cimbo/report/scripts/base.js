// What every part of the page uses: elements, numbers as people read them, scales, colours, and the study's columns.
//
// The files of this folder are put one after another into one function, in the order that cimbo/report/page.py names, so they
// share these names and leave none on the window. Nothing here fetches, and all text goes in as text, never as markup.

const SVG = document.querySelector("svg").namespaceURI;

/** All elements that match, as an array. */
const all = (query, root = document) => [...root.querySelectorAll(query)];

/** An element with attributes and children; strings become text. */
function element(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "circle", "rect", "text", "title"].includes(name);
  const made = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// ---- numbers: as cimbo/plots/quantity.py writes them ----------------------------------------------------------------

/** Four significant digits, thousands apart, a true minus sign; a dash for nothing. */
function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  let written;
  if (!Number.isFinite(size)) written = "∞";
  else if (size >= 1e7 || (size > 0 && size < 1e-3)) {
    const [digits, power] = size.toExponential(3).split("e");
    written = `${Number(digits)}e${Number(power)}`;
  } else if (size >= 1000) written = Math.round(size).toLocaleString("en-US");
  else written = String(Number(size.toPrecision(4)));
  return value < 0 ? `−${written}` : written;
}

/** Two significant digits: enough for an uncertainty. */
const rough = (value) => number(Number(value.toPrecision(2)));

/** A number with its unit. */
const amount = (value, unit) => (unit && Number.isFinite(value) ? `${number(value)}\u00a0${unit}` : number(value));

// ---- scales: places from 0 to 1 -------------------------------------------------------------------------------------

/** A scale around numbers, logarithmic where that is asked for and possible. */
function numberScale(values, { log = false, label = "", room = 0.05 } = {}) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) [low, high] = log ? [1, 10] : [0, 1];
  const forward = log ? Math.log10 : (value) => value;
  const back = log ? (value) => 10 ** value : (value) => value;
  let [start, end] = [forward(low), forward(high)];
  const span = end - start || (log ? 1 : Math.abs(end)) || 1;
  const around = end > start ? room : Math.max(room, 0.5); // one value stands in the middle
  start -= around * span;
  end += around * span;
  return scaleBetween(start, end, { log, label, forward, back });
}

function scaleBetween(start, end, { log, label, forward, back }) {
  return {
    log, label, start, end,
    at: (value) => (log && value <= 0 ? NaN : (forward(value) - start) / (end - start)),
    value: (place) => back(start + place * (end - start)),
    part: (from, to) => scaleBetween(start + from * (end - start), start + to * (end - start), { log, label, forward, back }),
    ticks: (most = 6) => (log ? logTicks(start, end, most) : linearTicks(start, end, most)),
  };
}

/** A scale over the levels of a gene; level -1 (the design lacks the gene) stands before the first. */
function levelScale(gene, off, label) {
  const first = off ? -1 : 0;
  const count = gene.values.length - first;
  return {
    log: false, label, levels: count,
    at: (level) => (level - first + 0.5) / count,
    value: (place) => first - 0.5 + place * count,
    part: (from, to) => numberPart(from, to, first, count, gene, label),
    ticks: (most = 12) => levelTicks(gene, first, count, most),
  };
}

function numberPart(from, to, first, count, gene, label) {
  const whole = levelScale(gene, first < 0, label);
  return {
    ...whole,
    at: (level) => (whole.at(level) - from) / (to - from),
    value: (place) => whole.value(from + place * (to - from)),
    part: (a, b) => numberPart(from + a * (to - from), from + b * (to - from), first, count, gene, label),
  };
}

function levelTicks(gene, first, count, most) {
  const every = Math.max(1, Math.ceil(count / most));
  const ticks = [];
  for (let level = first; level < first + count; level += every) ticks.push([level, level < 0 ? "off" : gene.values[level]]);
  return ticks;
}

function linearTicks(low, high, most) {
  const least = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= least * 0.999);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const plain = step >= 1e-4 && Math.max(Math.abs(low), Math.abs(high)) < 1e6;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step && ticks.length < 14; i += 1) {
    const value = i * step;
    ticks.push([value, plain ? value.toFixed(decimals).replace(/\B(?=(\d{3})+(?!\d)(?=\.|$))/g, decimals ? "" : ",").replace("-", "−") : number(value)]);
  }
  return ticks;
}

function logTicks(start, end, most) {
  const decades = end - start;
  if (decades < 0.35) return linearTicks(10 ** start, 10 ** end, most);
  const steps = decades < 1.9 ? [1, 2, 5] : decades < 3 ? [1, 3] : [1];
  const every = Math.max(1, Math.ceil(decades / most));
  const ticks = [];
  for (let d = Math.floor(start); d <= Math.ceil(end); d += 1) {
    if (((d % every) + every) % every) continue;
    for (const m of steps) {
      const value = m * 10 ** d;
      if (Math.log10(value) >= start && Math.log10(value) <= end) ticks.push([value, number(value)]);
    }
  }
  return ticks;
}

// ---- colours --------------------------------------------------------------------------------------------------------

// Viridis (Smith & van der Walt 2015), seven stops: even in lightness, and told apart by those who see no red or green.
const VIRIDIS = ["#440154", "#443983", "#31688e", "#21918c", "#35b779", "#90d743", "#fde725"];
const stops = VIRIDIS.map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));

/** The colour of a share from 0 to 1. */
function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const i = Math.min(Math.floor(place), stops.length - 2);
  return `rgb(${stops[i].map((c, k) => Math.round(c + (place - i) * (stops[i + 1][k] - c))).join()})`;
}

/** Black or white, whichever is easier to read on the colour of a share: by WCAG's relative luminance never below 4.5 to 1. */
function inkOn(share) {
  const linear = viridis(share).match(/\d+/g).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 ? "#fff" : "#000";
}

/** The page's colours as they are now: light, dark, or those of paper. */
function palette() {
  const style = getComputedStyle(document.documentElement);
  return new Proxy({}, { get: (_, name) => style.getPropertyValue(`--${String(name)}`).trim() });
}

// ---- the study ------------------------------------------------------------------------------------------------------

const study = JSON.parse(document.getElementById("study").textContent);
const STATUS = { f: "front", d: "dominated", i: "infeasible", x: "failed", n: "next" };
const rowCount = study.key.length;
const evaluated = study.status.replaceAll("n", "").length;
/** What a row is called: evaluations by their number, designs that nobody verified by their key. */
const rowName = (row) => (row < evaluated ? `#${row + 1}` : study.key[row]);
/** A column of numbers: a list with null for what is absent, or an object of the few rows that have one. */
function column(list) {
  if (Array.isArray(list)) return Float64Array.from(list, (value) => (value === null ? NaN : value));
  const found = new Float64Array(rowCount).fill(NaN);
  for (const [row, value] of Object.entries(list)) found[row] = value;
  return found;
}
// The levels of a gene are a letter a row; "-" is a design that lacks the gene.
for (const gene of study.genes) {
  if (typeof gene.index === "string") gene.index = Array.from(gene.index, (letter) => study.letters.indexOf(letter));
}
for (const metric of study.metrics) {
  metric.measured = column(metric.values);
  metric.predicted = metric.mean ? column(metric.mean) : null;
  metric.deviation = metric.std ? column(metric.std) : null;
  // A row without a measurement stands where it was predicted to be.
  metric.shown = metric.measured.map((value, i) => (Number.isNaN(value) && metric.predicted ? metric.predicted[i] : value));
  metric.goal = study.objectives.find((o) => o.name === metric.name)?.goal ?? "";
}
const metricOf = (name) => study.metrics.find((metric) => metric.name === name);
const objectives = study.objectives.map((o) => ({ ...metricOf(o.name), reference: o.reference }));

/** All that can be an axis or a colour: metrics, then genes, then what a search knows of its evaluations. */
const variables = [
  ...study.metrics.map((m) => ({
    id: `m ${m.name}`, label: m.label, group: m.goal ? "objectives" : "other metrics", values: m.shown,
    positive: m.shown.every((v) => Number.isNaN(v) || v > 0), metric: m, write: (v) => amount(v, m.unit), spoken: m.spoken,
  })),
  ...study.genes.map((g) => ({
    id: `g ${g.name}`, label: g.name, group: g.side, values: Float64Array.from(g.index), gene: g, positive: false,
    off: g.index.includes(-1), write: (v) => (v < 0 ? "off" : g.values[v]), spoken: g.name,
  })),
  { id: "number", label: "evaluation", group: "search", values: Float64Array.from(study.key, (_, i) => (i < evaluated ? i + 1 : NaN)),
    positive: true, write: number, spoken: "evaluation" },
  { id: "seconds", label: "evaluated for (s)", group: "search", values: column(study.seconds),
    positive: study.seconds.every((v) => v === null || v > 0), write: (v) => amount(v, "s"), spoken: "seconds" },
];
const variableOf = (id) => variables.find((v) => v.id === id);

/**
 * Colours of a variable's values by their rank, so that one far value leaves the others their differences.
 * Returns a function of a row; of a gene the levels are spread evenly.
 */
function shades(variable) {
  if (variable.gene) {
    const scale = levelScale(variable.gene, variable.off, "");
    return (row) => viridis((scale.at(variable.values[row]) * scale.levels - 0.5) / Math.max(scale.levels - 1, 1));
  }
  const sorted = Float64Array.from(variable.values.filter((v) => !Number.isNaN(v))).sort();
  const rank = (value) => {
    let [low, high] = [0, sorted.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low / Math.max(sorted.length - 1, 1);
  };
  const colours = variable.values.map(rank);
  return (row) => viridis(colours[row]);
}

/** Whether a metric is better read on a logarithmic axis: positive and over more than a factor of ten. */
function wantsLog(variable) {
  if (!variable.positive || variable.gene) return false;
  let low = Infinity;
  let high = 0;
  for (const v of variable.values) if (v > 0) [low, high] = [Math.min(low, v), Math.max(high, v)];
  return high > 10 * low;
}

const scaleOf = (variable, log) =>
  variable.gene ? levelScale(variable.gene, variable.off, variable.label) : numberScale(variable.values, { log, label: variable.label });
