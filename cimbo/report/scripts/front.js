// The front: any variable against any other, coloured by a third; what it is told apart by, besides colour, is shape.

const frontHost = document.getElementById("front-plot");

function drawFront() {
  if (!frontHost || !rowCount) return;
  const settings = { x: null, y: null, colour: null, logX: false, logY: false };
  const shown = { f: true, d: true, i: true, x: true, n: true, predicted: false, knees: true };
  const colours = palette();
  const controls = element("div", { class: "controls" });
  const legend = element("div", { class: "legend" });
  const scaleBar = element("div", { class: "scale-bar" });
  frontHost.replaceChildren(controls);

  const plot = new Plot(frontHost, {
    about: "Designs by two variables. Arrow keys step along the front, with Shift through all designs; Enter chooses one; Escape shows all.",
    height: 420, zoom: true, draw: marks, lines: overlays, marks: placed,
  });
  plot.told = () => [settings.x, settings.y, settings.colour];
  const back = element("button", { class: "small", hidden: true, onclick: () => plot.zoom() }, "show all");
  const near = element("button", { class: "small", onclick: aroundFront }, "around the front");
  plot.onZoom = () => { back.hidden = !plot.zoomed; near.hidden = plot.zoomed; };
  const hint = element("p", { class: "fine" });
  frontHost.append(scaleBar, legend, hint);
  for (const what of ["hot", "chosen", "selected"]) on(what, plot.redraw);

  /** Rows that are shown and have a place, with it. */
  function* placed() {
    for (let row = 0; row < rowCount; row += 1) {
      if (!shown[study.status[row]] || (state.brushed && !state.selected[row])) continue;
      const [x, y] = pixels(row);
      if (x >= -4 && x <= plot.width + 4 && y >= -4 && y <= plot.height + 4) yield [row, x, y];
    }
  }

  function pixels(row, values = (variable) => variable.values[row]) {
    return plot.place(spread(settings.x, row, values(settings.x)), spread(settings.y, row, values(settings.y)));
  }

  // Designs with the same value of a gene would lie on one another: each is moved a little, always by as much.
  const spread = (variable, row, value) => (variable.gene ? value + 0.6 * (((row * 0.618034) % 1) - 0.5) : value);

  function colourOf(row) {
    const variable = settings.colour;
    if (!variable) return null;
    const value = variable.values[row];
    return Number.isNaN(value) ? colours.faint : settings.shade(row);
  }

  // ---- marks ----

  function marks(context) {
    for (const status of "dixnf") if (shown[status]) drawStatus(context, status);
    if (shown.predicted) drawPredicted(context);
    if (shown.knees) study.knees.forEach((row) => ring(context, row, 9, colours.ink, 1.2));
    if (state.chosen >= 0) drawBars(context, state.chosen);
    if (state.hot >= 0) ring(context, state.hot, 8, colours.ink, 1.5);
    if (state.chosen >= 0) ring(context, state.chosen, 8, colours.ink, 2.4);
  }

  function drawStatus(context, status) {
    const plain = { f: colours.blue, d: colours.dots, i: colours.amber, x: colours.red, n: colours.violet }[status];
    for (let row = 0; row < rowCount; row += 1) {
      if (study.status[row] !== status) continue;
      const [x, y] = pixels(row);
      if (!(x >= -8 && x <= plot.width + 8 && y >= -8 && y <= plot.height + 8)) continue;
      context.globalAlpha = state.brushed && !state.selected[row] ? 0.1 : status === "d" ? 0.8 : 1;
      shape(context, status, x, y, colourOf(row) ?? plain);
    }
    context.globalAlpha = 1;
  }

  function shape(context, status, x, y, colour) {
    context.beginPath();
    context.fillStyle = colour;
    context.strokeStyle = colour;
    context.lineWidth = 1.6;
    if (status === "f" || status === "d") {
      context.arc(x, y, status === "f" ? 5 : 3.2, 0, 2 * Math.PI);
      context.fill();
      if (status === "f") { context.strokeStyle = colours.card; context.lineWidth = 1.2; context.stroke(); }
    } else if (status === "n") {
      context.fillRect(x - 4, y - 4, 8, 8);
    } else if (status === "x") {
      context.moveTo(x - 3.2, y - 3.2); context.lineTo(x + 3.2, y + 3.2);
      context.moveTo(x + 3.2, y - 3.2); context.lineTo(x - 3.2, y + 3.2);
      context.stroke();
    } else {
      context.moveTo(x, y - 4.2); context.lineTo(x + 4, y + 3); context.lineTo(x - 4, y + 3); context.closePath();
      context.stroke();
    }
  }

  function ring(context, row, radius, colour, wide) {
    const [x, y] = pixels(row);
    context.beginPath();
    context.strokeStyle = colour;
    context.lineWidth = wide;
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }

  /** Where designs of the front were predicted to be, tied to where they are. */
  function drawPredicted(context) {
    context.strokeStyle = colours.violet;
    context.lineWidth = 1;
    for (let row = 0; row < rowCount; row += 1) {
      if (study.status[row] !== "f") continue;
      const said = (variable) => (variable.metric?.predicted ? variable.metric.predicted[row] : variable.values[row]);
      const [[a, b], [c, d]] = [pixels(row, said), pixels(row)];
      if (!Number.isFinite(a) || !Number.isFinite(b) || Math.hypot(a - c, b - d) < 0.5) continue;
      context.beginPath();
      context.moveTo(a, b); context.lineTo(c, d);
      context.moveTo(a, b - 4.5); context.lineTo(a + 4, b); context.lineTo(a, b + 4.5); context.lineTo(a - 4, b); context.closePath();
      context.stroke();
    }
  }

  /** How far a design's costs may be off by what published chips say, or what was predicted where it was not measured. */
  function drawBars(context, row) {
    context.strokeStyle = colours.ink;
    context.lineWidth = 1.2;
    const [x, y] = pixels(row);
    for (const [variable, scale, along] of [[settings.x, plot.x, 0], [settings.y, plot.y, 1]]) {
      const ends = variable.metric && errorBar(row, variable.metric);
      if (!ends) continue;
      const places = ends.map((v) => (along ? (1 - scale.at(v)) * plot.height : scale.at(v) * plot.width));
      if (!places.every(Number.isFinite)) continue;
      context.beginPath();
      for (const [i, p] of places.entries()) {
        if (along) { context.moveTo(x - 4, p); context.lineTo(x + 4, p); } else { context.moveTo(p, y - 4); context.lineTo(p, y + 4); }
        if (!i) continue;
        if (along) { context.moveTo(x, places[0]); context.lineTo(x, p); } else { context.moveTo(places[0], y); context.lineTo(p, y); }
      }
      context.stroke();
    }
  }

  // ---- staircase and references ----

  function overlays() {
    const { x, y } = settings;
    const parts = [];
    const goals = [x, y].map((variable) => objectives.find((o) => variable.metric?.name === o.name));
    if (goals[0] && goals[1] && goals[0] !== goals[1]) parts.push(...staircase(goals));
    const high = goals[1] && goals[1].reference !== null && plot.y.at(goals[1].reference) > 0.85;
    goals.forEach((o, i) => { if (o && o.reference !== null) parts.push(...reference(o, i, high)); });
    return parts;
  }

  function staircase([ox, oy]) {
    const good = (o, row) => (o.goal === "max" ? o.measured[row] : -o.measured[row]);
    const rows = [];
    for (let row = 0; row < evaluated; row += 1) if ("fd".includes(study.status[row])) rows.push(row);
    rows.sort((a, b) => good(ox, b) - good(ox, a) || good(oy, b) - good(oy, a));
    let best = -Infinity;
    const places = [];
    for (const row of rows) {
      if (good(oy, row) <= best) continue;
      best = good(oy, row);
      places.push(plot.place(ox.measured[row], oy.measured[row]));
    }
    if (!places.length || !places.flat().every(Number.isFinite)) return [];
    let path = `M${places[0][0]} ${oy.goal === "max" ? plot.height : 0}`;
    for (const [a, b] of places) path += `H${a}V${b}`;
    path += `H${ox.goal === "max" ? 0 : plot.width}`;
    // Long before or behind the picture; the SVG cuts what lies outside.
    return [element("svg", { width: plot.width, height: plot.height, class: "cut" }, element("path", { d: path, class: "stairs" }))];
  }

  /** A line and its words; beyond the picture only the words, at the side where it lies. Those across stand where the others are not. */
  function reference(o, along, high) {
    const at = along ? plot.y.at(o.reference) : plot.x.at(o.reference);
    const words = `reference ${amount(o.reference, o.unit)}`;
    const beyond = at > 1 ? 1 : at < 0 || Number.isNaN(at) ? -1 : 0;
    const place = Math.min(Math.max(at || 0, 0), 1);
    const parts = [];
    if (along) {
      const y = (1 - place) * plot.height;
      if (!beyond) parts.push(element("line", { x1: 0, x2: plot.width, y1: y, y2: y, class: "reference" }));
      const below = y < 20;
      parts.push(element("text", { x: plot.width - 4, y: y + (below ? 13 : -5), class: "note end" }, `${beyond > 0 ? "↑ " : beyond < 0 ? "↓ " : ""}${words}`));
    } else {
      const x = place * plot.width;
      if (!beyond) parts.push(element("line", { x1: x, x2: x, y1: 0, y2: plot.height, class: "reference" }));
      const right = place > 0.5;
      parts.push(element("text", { x: x + (right ? -6 : 6), y: high ? plot.height - 8 : 13, class: right ? "note end" : "note" },
        `${beyond < 0 ? "← " : ""}${words}${beyond > 0 ? " →" : ""}`));
    }
    return parts;
  }

  // ---- controls ----

  function select(words, chosen, change, none = null) {
    const list = element("select", { onchange: (event) => change(event.target.value) });
    if (none) list.append(element("option", { value: "" }, none));
    for (const group of new Set(variables.map((v) => v.group))) {
      const options = variables.filter((v) => v.group === group).map((v) => element("option", { value: v.id, selected: v === chosen }, v.label));
      list.append(element("optgroup", { label: group }, ...options));
    }
    return element("label", {}, `${words} `, list);
  }

  function logSwitch(axis, key) {
    const box = element("input", { type: "checkbox", "aria-label": `${axis} axis logarithmic`, onchange: (event) => { settings[key] = event.target.checked; axes(); } });
    return [box, element("label", { class: "log" }, box, "log")];
  }

  const [boxX, labelX] = logSwitch("horizontal", "logX");
  const [boxY, labelY] = logSwitch("vertical", "logY");

  function axes() {
    for (const [box, variable, key] of [[boxX, settings.x, "logX"], [boxY, settings.y, "logY"]]) {
      box.disabled = !variable.positive || Boolean(variable.gene);
      if (box.disabled) settings[key] = false;
      box.checked = settings[key];
    }
    plot.axes(scaleOf(settings.x, settings.logX), scaleOf(settings.y, settings.logY));
    plot.onZoom();
    if (frontIsSmall()) aroundFront();
    const lacking = [...Array(rowCount).keys()].filter((row) => Number.isNaN(settings.x.values[row]) || Number.isNaN(settings.y.values[row])).length;
    const drag = "Drag over a part to enlarge it, double-click to go back; click a design for its details.";
    hint.textContent = lacking ? `${drag} Without a place here: ${lacking}, with neither a measurement nor a prediction.` : drag;
  }

  /** Where the front lies, as shares of both whole axes: [left, right, bottom, top], with some room. */
  function frontBox() {
    const ends = [Infinity, -Infinity, Infinity, -Infinity];
    for (let row = 0; row < evaluated; row += 1) {
      if (study.status[row] !== "f") continue;
      const [x, y] = [plot.wholeX.at(settings.x.values[row]), plot.wholeY.at(settings.y.values[row])];
      if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
      [ends[0], ends[1], ends[2], ends[3]] = [Math.min(ends[0], x), Math.max(ends[1], x), Math.min(ends[2], y), Math.max(ends[3], y)];
    }
    if (!(ends[1] > ends[0]) || !(ends[3] > ends[2])) return null;
    const [wide, high] = [0.15 * (ends[1] - ends[0]), 0.25 * (ends[3] - ends[2])];
    return [Math.max(ends[0] - wide, 0), Math.min(ends[1] + wide, 1), Math.max(ends[2] - high, 0), Math.min(ends[3] + high, 1)];
  }

  /** A front that a few bad designs have pressed into a corner is shown enlarged first. */
  function frontIsSmall() {
    const box = frontBox();
    return box !== null && !settings.x.gene && !settings.y.gene && (box[1] - box[0]) * (box[3] - box[2]) < 0.12;
  }

  function aroundFront() {
    const box = frontBox();
    if (box) { plot.zoom(); plot.zoom(...box); }
  }

  function shade() {
    const variable = settings.colour;
    scaleBar.replaceChildren();
    if (!variable) { plot.redraw(); return; }
    settings.shade = shades(variable);
    const known = Float64Array.from(variable.values.filter((v) => !Number.isNaN(v))).sort();
    const ends = [known[0], known.at(-1)].map((v) => variable.write(v));
    const middle = variable.gene ? "" : `, half of them below ${variable.write(known[known.length >> 1])}`;
    scaleBar.append(`${variable.label} ${ends[0]} `, element("span", { class: "ramp" }), ` ${ends[1]}${middle}`);
    plot.redraw();
  }

  function choice(axis) {
    return (id) => {
      settings[axis] = variableOf(id);
      settings[axis === "x" ? "logX" : "logY"] = wantsLog(settings[axis]);
      axes();
    };
  }

  function legendEntry(key, name, count, kind) {
    if (!count) return;
    const box = element("input", { type: "checkbox", checked: shown[key], onchange: (event) => { shown[key] = event.target.checked; plot.redraw(); } });
    legend.append(element("label", {}, box, element("i", { class: `mark ${kind}` }), `${name} `, element("b", {}, String(count))));
  }

  const of = (o) => (o ? variableOf(`m ${o.name}`) : variableOf("number"));
  settings.y = of(objectives[0]);
  settings.x = of(objectives[1]);
  settings.colour = objectives.length > 2 ? of(objectives[2]) : null;
  [settings.logX, settings.logY] = [wantsLog(settings.x), wantsLog(settings.y)];
  const colourSelect = select("Colour", settings.colour, (id) => { settings.colour = id ? variableOf(id) : null; shade(); }, "kind of design");
  controls.append(select("Up", settings.y, choice("y")), labelY, select("Across", settings.x, choice("x")), labelX, colourSelect, back, near);
  const count = (status) => study.status.split(status).length - 1;
  legendEntry("f", "front", count("f"), "front");
  legendEntry("knees", "knees", study.knees.length, "knee");
  legendEntry("d", "dominated", count("d"), "dominated");
  legendEntry("i", "infeasible", count("i"), "infeasible");
  legendEntry("x", "failed, where predicted", count("x"), "failed");
  legendEntry("n", "next, predicted, not verified", count("n"), "next");
  if (objectives.some((o) => o.predicted && o.predicted.some((v, i) => study.status[i] === "f" && !Number.isNaN(v)))) {
    legendEntry("predicted", "the front as it was predicted", count("f"), "predicted");
  }
  axes();
  shade();
}

/** Least and most of a metric of a row: by published chips where it was computed, by the model where it was predicted. */
function errorBar(row, metric) {
  const bar = study.bars[row]?.[metric.name];
  if (bar) return bar;
  if (!Number.isNaN(metric.measured[row]) || !metric.deviation) return null;
  const half = 1.645 * metric.deviation[row];
  return half > 0 ? [metric.predicted[row] - half, metric.predicted[row] + half] : null;
}
