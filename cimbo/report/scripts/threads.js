// All designs, an axis a row and a thread a design. Rows, not columns: names stay level, and phones have height. A stretch of
// an axis that is dragged over selects the designs that run through it, here, in the front and in the table.
//
// Four canvases lie on one another: all designs, faint and drawn once; the selected ones, drawn some a frame until all are there,
// so that dragging stays fluent with thousands; the selected ones of the front; and the one that is pointed at. How many are
// drawn a frame follows from when frames come, not from how long the script takes: a canvas only notes what it is told, and the
// browser draws it later, which takes ten times as long where no graphics processor helps.

const ROW_HEIGHT = 38; // pixels
const FIRST_ALLOWANCE = 60; // designs drawn in the first frame
const LEAST_ALLOWANCE = 10;
const MORE_A_FRAME = 1; // further designs after a frame in time; after a late one half as many are drawn
const LATE_FRAME = 22; // milliseconds after the frame before: one of sixty a second was missed
const PAUSE = 400; // milliseconds; nothing was drawn in between
const LEAST_DRAG = 4; // pixels; less is a click
const NAMES_WIDTH = 150; // pixels, left of the axes; where there is no room for them names stand above their axes
const ROOM_FOR_NAMES = 600; // pixels

function drawThreads() {
  const host = document.getElementById("threads");
  if (!host || !evaluated) return;
  const settings = { front: false, every: false, colour: variableOf(`m ${objectives[0].name}`) };
  const brushes = new Map(); // variable id -> [low, high] as shares of its axis
  const colours = palette();
  let axes = [];
  let scales = [];
  let rows = [];
  let places = new Float32Array(0);
  let width = 0;
  let left = 0; // where axes begin
  let focused = 0;
  let drawing = 0;
  let allowance = FIRST_ALLOWANCE;
  let drawnAt = -PAUSE;
  let dragged = null;

  const count = element("span", { class: "fine" });
  const clear = element("button", { class: "small", hidden: true, onclick: () => { brushes.clear(); brushed(); } }, "select all again");
  const canvases = ["all", "selected", "best", "pointed"].map((name) => element("canvas", { class: name, "aria-hidden": "true" }));
  const svg = element("svg", { class: "over", "aria-hidden": "true" });
  const marked = element("g");
  const area = element("div", { class: "area" }, ...canvases, svg);
  const frame = element("div", {
    class: "threads-frame", role: "application", tabindex: 0,
    "aria-label": "Designs by all variables. Up and down choose an axis; left and right move the lower end of its selection, with Shift the upper one; Delete clears it.",
  }, area);
  host.replaceChildren(controls(), frame, element("p", { class: "fine" }, "Drag along an axis to select the designs that run through that stretch; click into it to clear it."));

  function controls() {
    const box = (words, key) => element("label", {}, element("input", { type: "checkbox", onchange: (event) => { settings[key] = event.target.checked; rebuild(); } }), ` ${words}`);
    const list = element("select", { onchange: (event) => { settings.colour = variableOf(event.target.value); paint(); } },
      ...variables.filter((v) => v.metric).map((v) => element("option", { value: v.id }, v.label)));
    return element("div", { class: "controls" }, box("front only", "front"), box("genes that do not vary, and other metrics", "every"), element("label", {}, "Colour ", list), count, clear);
  }

  // ---- what is drawn where ----

  function rebuild() {
    const varies = (v) => new Set(rowsShown().map((row) => v.values[row])).size > 1;
    const first = variables.filter((v) => v.metric?.goal);
    const others = variables.filter((v) => (v.metric && !v.metric.goal) || v.gene);
    rows = rowsShown();
    axes = [...first, ...others.filter((v) => settings.every || (v.gene && varies(v)))];
    for (const id of brushes.keys()) if (!axes.some((v) => v.id === id)) brushes.delete(id);
    scales = axes.map((v) => (v.gene ? levelScale(v.gene, v.off, v.label) : numberScale(v.values, { log: wantsLog(v), label: v.label })));
    area.style.height = `${axes.length * ROW_HEIGHT}px`;
    select();
  }

  function rowsShown() {
    const found = [];
    for (let row = 0; row < evaluated; row += 1) {
      if (settings.front ? study.status[row] === "f" : "fdi".includes(study.status[row])) found.push(row);
    }
    return found;
  }

  /** The place of a share of an axis, in pixels from the left. */
  const across = (share) => left + share * (width - left);

  /** The middle of an axis' row, in pixels from the top. */
  const level = (axis) => (axis + 0.5) * ROW_HEIGHT + 6;

  function arrange() {
    width = area.clientWidth;
    left = width < ROOM_FOR_NAMES ? 0 : NAMES_WIDTH;
    places = new Float32Array(rows.length * axes.length);
    const order = rows.map((_, i) => i).sort((a, b) => objectives[0].shown[rows[a]] - objectives[0].shown[rows[b]]);
    const shift = new Float32Array(rows.length);
    order.forEach((i, k) => { shift[i] = k / Math.max(rows.length - 1, 1) - 0.5; });
    axes.forEach((variable, a) => {
      const scale = scales[a];
      const gap = variable.gene ? 0.6 / scale.levels : 0;
      rows.forEach((row, i) => { places[i * axes.length + a] = across(scale.at(variable.values[row]) + gap * shift[i]); });
    });
  }

  // ---- drawing ----

  function paint() {
    if (!area.clientWidth || !axes.length) return;
    arrange();
    const dots = dotsPerPixel();
    for (const canvas of canvases) {
      canvas.width = Math.round(width * dots);
      canvas.height = Math.round(area.clientHeight * dots);
      canvas.getContext("2d").setTransform(dots, 0, 0, dots, 0, 0);
    }
    const context = canvases[0].getContext("2d");
    context.strokeStyle = colours.faint;
    context.globalAlpha = Math.min(0.35, 40 / rows.length + 0.06);
    context.lineWidth = 1;
    for (let i = 0; i < rows.length; i += 1) thread(context, i);
    finish(context);
    paintFrame();
    paintSelected();
    paintPointed();
  }

  function thread(context, i) {
    const start = i * axes.length;
    context.beginPath();
    for (let a = 0; a < axes.length; a += 1) {
      const x = places[start + a];
      if (x === x) context.lineTo(x, level(a)); // NaN where a metric was not measured
    }
    context.stroke();
  }

  /** How many designs may be drawn in this frame. */
  function pace() {
    const now = document.timeline.currentTime;
    const gap = now - drawnAt;
    drawnAt = now;
    if (gap > LATE_FRAME && gap < PAUSE) allowance = Math.max(allowance >> 1, LEAST_ALLOWANCE);
    else if (gap > 0 && gap <= LATE_FRAME) allowance += MORE_A_FRAME;
    return allowance;
  }

  /** Selected designs, those of the front first and on top; goes on in the next frame when this one has no room for more. */
  function paintSelected() {
    cancelAnimationFrame(drawing);
    const layers = [canvases[1], canvases[2]].map((canvas) => canvas.getContext("2d"));
    for (const context of layers) context.clearRect(0, 0, width, area.clientHeight);
    const chosen = rows.map((_, i) => i).filter((i) => state.selected[rows[i]]);
    chosen.sort((a, b) => (study.status[rows[b]] === "f") - (study.status[rows[a]] === "f"));
    const variable = settings.colour;
    const shade = shades(variable);
    const pale = Math.min(0.5, 0.12 + 60 / chosen.length);
    let next = 0;
    const go = () => {
      const stop = onPaper() ? chosen.length : Math.min(next + pace(), chosen.length);
      for (; next < stop; next += 1) {
        const row = rows[chosen[next]];
        const best = study.status[row] === "f";
        const context = layers[best ? 1 : 0];
        context.globalAlpha = best ? 0.9 : pale;
        context.lineWidth = best ? 1.6 : 1;
        context.strokeStyle = shade(row);
        thread(context, chosen[next]);
      }
      if (next < chosen.length) drawing = requestAnimationFrame(go);
      else layers.forEach(finish);
    };
    go();
  }

  function paintPointed() {
    const context = canvases[3].getContext("2d");
    context.clearRect(0, 0, width, area.clientHeight);
    context.strokeStyle = colours.ink;
    for (const [row, wide] of [[state.chosen, 2.6], [state.hot, 1.8]]) {
      const i = rows.indexOf(row);
      context.lineWidth = wide;
      if (i >= 0) thread(context, i);
    }
    finish(context);
  }

  function paintFrame() {
    const parts = [];
    axes.forEach((variable, a) => {
      const y = level(a);
      const better = variable.metric?.goal === "max" ? " →" : variable.metric?.goal === "min" ? " ←" : "";
      parts.push(element("line", { x1: left, x2: width, y1: y, y2: y, class: a === focused ? "axis focused" : "axis" }));
      parts.push(element("text", { x: 0, y: left ? y + 4 : y - 12, class: "axis-name" }, cut(variable.label, Math.floor((left || width) / 9)) + better));
      const letters = Math.max(9, Math.floor((width - left) / (scales[a].levels ?? Infinity) / 8)); // that fit into a level's share
      let free = -Infinity;
      for (const [value, name] of scales[a].ticks(Math.max(3, Math.floor((width - left) / 70)))) {
        const x = across(scales[a].at(value));
        const half = 3.3 * Math.min(name.length, letters);
        if (x - half < free || x - half < left - 14 || x + half > width + 14) continue;
        free = x + half + 5;
        parts.push(element("text", { x, y: y + 4, class: "plate" }, cut(name, letters)));
      }
    });
    svg.replaceChildren(marked, ...parts);
    paintBrushes();
  }

  function paintBrushes() {
    marked.replaceChildren(...axes.flatMap((variable, a) => {
      const held = brushes.get(variable.id);
      return held ? [element("rect", { x: across(held[0]), width: Math.max((held[1] - held[0]) * (width - left), 2), y: level(a) - 9, height: 18, rx: 4, class: "brush" })] : [];
    }));
  }

  // ---- selecting ----

  function select() {
    const before = state.brushed;
    state.brushed = brushes.size > 0;
    const limits = axes.map((v, a) => [v, scales[a], brushes.get(v.id)]).filter(([, , brush]) => brush);
    for (let row = 0; row < rowCount; row += 1) {
      state.selected[row] = limits.every(([v, scale, [low, high]]) => {
        const at = scale.at(v.values[row]);
        return at >= low && at <= high;
      }) ? 1 : 0;
    }
    clear.hidden = !state.brushed;
    const kept = rows.filter((row) => state.selected[row]);
    const best = kept.filter((row) => study.status[row] === "f").length;
    count.textContent = state.brushed ? `${kept.length} of ${rows.length} designs selected, ${best} of the front` : `${rows.length} designs, ${best} of the front`;
    if (before || state.brushed) tell("selected");
  }

  const brushed = inNextFrame(() => {
    select();
    paintBrushes();
    paintSelected();
    if (!dragged) tell("settled");
  });

  /** Set the selection of an axis in shares of it; a gene's ends are those of its levels. */
  function brush(axis, low, high) {
    const levels = scales[axis].levels;
    if (levels) [low, high] = [Math.floor(low * levels) / levels, Math.ceil(high * levels) / levels];
    brushes.set(axes[axis].id, [Math.max(low, 0), Math.min(high, 1)]);
    brushed();
  }

  const axisAt = (event) => Math.min(Math.max(Math.floor((event.clientY - area.getBoundingClientRect().top) / ROW_HEIGHT), 0), axes.length - 1);
  const shareAt = (event) => {
    const box = area.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left - left) / (box.width - left), 0), 1);
  };

  function nearest(event, reach = 12) {
    const box = area.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    const a = Math.min(Math.max(Math.floor((py - 6) / ROW_HEIGHT - 0.5), 0), axes.length - 2);
    const down = Math.min(Math.max((py - level(a)) / ROW_HEIGHT, 0), 1);
    let best = -1;
    for (let i = 0; i < rows.length; i += 1) {
      if (!state.selected[rows[i]]) continue;
      const start = i * axes.length + a;
      const away = Math.abs(places[start] + down * ((axes.length > 1 ? places[start + 1] : places[start]) - places[start]) - px);
      const near = study.status[rows[i]] === "f" ? away - 1 : away; // of two at one place the one on the front
      if (near < reach) [best, reach] = [rows[i], near];
    }
    return best;
  }

  area.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    dragged = { axis: axisAt(event), from: shareAt(event), moved: false };
    area.setPointerCapture(event.pointerId);
  });
  area.addEventListener("pointermove", (event) => {
    if (!dragged) {
      const row = nearest(event);
      heat(row);
      if (row >= 0) showTip(describe(row, [axes[axisAt(event)]]).join("\n"), event.clientX, event.clientY);
      else hideTip();
      return;
    }
    const to = shareAt(event);
    dragged.moved ||= Math.abs(to - dragged.from) * (width - left) > LEAST_DRAG;
    if (dragged.moved) brush(dragged.axis, Math.min(dragged.from, to), Math.max(dragged.from, to));
  });
  area.addEventListener("pointerup", (event) => {
    if (dragged && !dragged.moved) {
      const id = axes[dragged.axis].id;
      const held = brushes.get(id);
      if (held && dragged.from >= held[0] && dragged.from <= held[1]) brushes.delete(id);
      else choose(nearest(event, 20));
    }
    dragged = null;
    brushed();
  });
  area.addEventListener("pointercancel", () => { dragged = null; brushed(); });
  area.addEventListener("pointerleave", () => { heat(-1); hideTip(); });

  frame.addEventListener("keydown", (event) => {
    const held = brushes.get(axes[focused].id) ?? [0, 1];
    const step = scales[focused].levels ? 1 / scales[focused].levels : 0.02;
    const by = { ArrowRight: step, ArrowLeft: -step }[event.key];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") focused = Math.min(Math.max(focused + (event.key === "ArrowDown" ? 1 : -1), 0), axes.length - 1);
    else if (by && event.shiftKey) brush(focused, held[0] + 1e-9, Math.max(held[1] + by - 1e-9, held[0] + step));
    else if (by) brush(focused, Math.min(held[0] + by + 1e-9, held[1] - step), held[1] - 1e-9);
    else if (event.key === "Delete" || event.key === "Backspace") { brushes.delete(axes[focused].id); brushed(); } else return;
    event.preventDefault();
    paintFrame();
    requestAnimationFrame(() => say(`${axes[focused].label}: ${told(focused)}; ${count.textContent}`));
  });

  function told(axis) {
    const held = brushes.get(axes[axis].id);
    if (!held) return "all";
    const write = axes[axis].write;
    const ends = scales[axis].levels
      ? [scales[axis].value(held[0] + 0.5 / scales[axis].levels), scales[axis].value(held[1] - 0.5 / scales[axis].levels)].map(Math.round)
      : held.map((share) => scales[axis].value(share));
    return `from ${write(ends[0])} to ${write(ends[1])}`;
  }

  on("hot", inNextFrame(paintPointed));
  on("chosen", inNextFrame(paintPointed));
  on("colours", paint);
  rebuild();
  new ResizeObserver(inNextFrame(paint)).observe(area);
}
