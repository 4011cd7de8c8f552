// What the search's surrogates say around a design: along each gene, and over pairs of genes.

const SLICE = { width: 172, height: 92, left: 44, bottom: 16, top: 6 }; // pixels of a small plot and around it

function drawSurrogate() {
  const host = document.getElementById("surrogate-view");
  const around = study.around;
  if (!host || !around) return;
  const metrics = Object.keys(around.designs[0].curves);
  const settings = { metric: metrics[0], design: 0, pair: 0, together: false };
  const slices = element("div", { class: "slices" });
  const surface = element("figure", { class: "cell surface" });
  const words = element("p", { class: "fine" });

  function select(label, options, change) {
    const list = element("select", { onchange: (event) => { change(event.target.value); update(); } },
      ...options.map(([value, name]) => element("option", { value }, name)));
    return element("label", {}, `${label} `, list);
  }
  const designs = around.rows.map((row, i) => [i, `${rowName(row)}${study.knees.includes(row) ? ", a knee" : ""}: ${objectives.map((o) => amount(o.shown[row], o.unit)).join(", ")}`]);
  const controls = element("div", { class: "controls" },
    select("Metric", metrics.map((name) => [name, metricOf(name)?.label ?? name]), (value) => { settings.metric = value; }),
    select("Around", designs, (value) => { settings.design = Number(value); settings.pair = 0; }));
  controls.append(element("label", {}, element("input", { type: "checkbox", onchange: (event) => { settings.together = event.target.checked; update(); } }), "one scale for all"));
  const pairHost = element("div", { class: "controls" });
  host.replaceChildren(controls, words, slices, pairHost, surface);

  const metric = () => metricOf(settings.metric);
  const unitOf = () => metric()?.unit ?? "";

  function update() {
    const design = around.designs[settings.design];
    const curves = Object.entries(design.curves[settings.metric]);
    const computed = around.computed.includes(settings.metric);
    const doubt = around.doubted.includes(settings.metric) ? " In cross-validation it is no better than the mean: do not rely on it." : "";
    words.textContent = computed
      ? "Computed exactly: nothing had to be learned. A ring is the design itself; only its own gene changes along each curve."
      : `As the search's surrogate predicts it; the band holds 90 %. A ring is the design itself; only its own gene changes along each curve.${doubt}`;
    const values = curves.flatMap(([, lines]) => lines.flat()).filter((v) => v !== null);
    const log = wantsLog(variableOf(`m ${settings.metric}`) ?? { positive: false, values: [] }) && values.every((v) => v > 0);
    const scale = numberScale(values, { log });
    const moved = ([, [mean]]) => { const known = mean.filter((v) => v !== null); return Math.max(...known) - Math.min(...known); };
    curves.sort((a, b) => moved(b) - moved(a));
    const scaleFor = (lines) => (settings.together ? scale : numberScale(lines.flat().map((v) => v ?? NaN), { log }));
    slices.replaceChildren(...curves.map(([gene, lines]) => slice(gene, lines, scaleFor(lines))));
    const pairs = design.surfaces[settings.metric];
    pairHost.replaceChildren();
    surface.replaceChildren();
    if (!pairs.length) return;
    const list = element("select", { onchange: (event) => { settings.pair = Number(event.target.value); drawSurface(pairs[settings.pair]); } },
      ...pairs.map((p, i) => element("option", { value: i, selected: i === settings.pair }, `${p.across} and ${p.down}`)));
    pairHost.append(element("label", {}, "Two genes at a time ", list));
    drawSurface(pairs[Math.min(settings.pair, pairs.length - 1)]);
  }

  const geneOf = (name) => study.genes.find((gene) => gene.name === name);

  function slice(name, [mean, low, high], scale) {
    const gene = geneOf(name);
    const { width, height, left, bottom, top } = SLICE;
    const x = (i) => left + (i + 0.5) / mean.length * width;
    const y = (v) => top + (1 - Math.min(Math.max(scale.at(v), 0), 1)) * height;
    const known = mean.map((_, i) => i).filter((i) => mean[i] !== null);
    const line = (values) => known.map((i) => `${x(i).toFixed(1)} ${y(values[i]).toFixed(1)}`);
    const parts = [];
    for (const [value, words] of scale.ticks(3)) {
      const at = y(value);
      if (!(scale.at(value) >= 0 && scale.at(value) <= 1)) continue;
      parts.push(element("line", { x1: left, x2: left + width, y1: at, y2: at, class: "grid-line" }), element("text", { x: left - 5, y: at + 4, class: "y-tick" }, cut(words, 7)));
    }
    // An unordered gene has no way between its values.
    if (low && gene.ordered) parts.push(element("path", { d: `M${[...line(low), ...line(high).reverse()].join("L")}Z`, class: "band" }));
    if (low && !gene.ordered) parts.push(...known.map((i) => element("rect", { x: x(i) - 7, width: 14, y: y(high[i]), height: Math.max(y(low[i]) - y(high[i]), 0.5), class: "band" })));
    parts.push(gene.ordered ? element("path", { d: `M${line(mean).join("L")}`, class: "mean" }) : element("path", { d: known.map((i) => `M${x(i) - 7} ${y(mean[i])}h14`).join(""), class: "mean" }));
    const own = gene.index[around.rows[settings.design]];
    if (mean[own] !== null) parts.push(element("circle", { cx: x(own), cy: y(mean[own]), r: 4, class: "own" }));
    const room = Math.max(Math.floor(width / mean.length / 7), 8);
    let free = -Infinity;
    gene.values.forEach((value, i) => {
      const word = cut(value, room);
      const half = 3.5 * word.length;
      if (x(i) - half < free) return;
      free = x(i) + half + 5;
      parts.push(element("text", { x: x(i), y: top + height + 14, class: "x-tick" }, word));
    });
    const said = known.map((i) => `${gene.values[i]}: ${amount(mean[i], unitOf())}`).join(", ");
    const picture = element("svg", { viewBox: `0 0 ${left + width + 8} ${top + height + bottom + 2}`, role: "img", "aria-label": `${settings.metric} by ${name}: ${said}` }, ...parts);
    const change = Math.max(...known.map((i) => mean[i])) - Math.min(...known.map((i) => mean[i]));
    return element("figure", { class: "slice" }, element("figcaption", { title: name }, `${name} `, element("small", {}, `changes ${amount(Number(change.toPrecision(2)), unitOf())}`)), picture);
  }

  function drawSurface({ across, down, mean }) {
    const [wide, high] = [geneOf(across), geneOf(down)];
    const known = mean.flat().filter((v) => v !== null);
    const log = known.every((v) => v > 0) && Math.max(...known) > 10 * Math.min(...known);
    const scale = numberScale(known, { log, room: 0 });
    const own = [wide, high].map((gene) => gene.index[around.rows[settings.design]]);
    const head = element("tr", {}, element("td", {}), ...wide.values.map((v) => element("th", { scope: "col" }, v)));
    const body = high.values.map((value, j) => {
      const cells = mean[j].map((v, i) => {
        const cell = element("td", { class: i === own[0] && j === own[1] ? "own" : null }, v === null ? "–" : number(v));
        if (v === null) return cell;
        cell.style.background = viridis(scale.at(v));
        cell.style.color = inkOn(scale.at(v));
        return cell;
      });
      return element("tr", {}, element("th", { scope: "row" }, value), ...cells);
    }).reverse();
    const table = element("table", { class: "surface-table" }, element("thead", {}, head), element("tbody", {}, ...body));
    const caption = `${metric()?.label ?? settings.metric}: ${across} across, ${down} upwards; the framed cell is the design itself`;
    surface.replaceChildren(element("figcaption", {}, caption), element("div", { class: "scroll inner", tabindex: 0, role: "region", "aria-label": caption }, table));
  }

  update();
}
