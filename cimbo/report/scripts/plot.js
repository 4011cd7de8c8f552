// A plot with two axes: marks on a canvas, which is quick for thousands, and words and lines as SVG, which are sharp and can
// be read out. It takes the width it is given.

const MARGIN = 13; // pixels that the canvas reaches over the axes, so that no mark is cut in half

class Plot {
  /**
   * host: where it is put. about: what is read out. height: pixels. draw(context, plot): draws the marks.
   * The plot has x and y, scales of base.js; words that fit no tick are thinned out.
   */
  constructor(host, { about, height = 400, draw, lines = () => [], zoom = false, marks = null }) {
    Object.assign(this, { host, height, drawMarks: draw, lines, marks, zoomed: null, dragged: null });
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.under = element("svg", { class: "over", "aria-hidden": "true" });
    this.svg = element("svg", { class: "over", "aria-hidden": "true" });
    this.yLabel = element("div", { class: "y-label" });
    this.xLabel = element("div", { class: "x-label" });
    this.area = element("div", { class: "area" }, this.under, this.canvas, this.svg);
    const role = marks ? { role: "application", tabindex: 0 } : { role: "img" };
    this.frame = element("div", { class: "chart", "aria-label": about, ...role }, this.yLabel, this.area, this.xLabel);
    host.append(this.frame);
    this.area.style.height = `${height}px`;
    this.visible = true;
    this.redraw = inNextFrame(() => { if (this.visible) this.draw(); else this.stale = true; });
    // What is scrolled away is drawn when it comes back.
    new IntersectionObserver((entries) => {
      this.visible = entries.at(-1).isIntersecting;
      if (this.visible && this.stale) this.redraw();
    }, { rootMargin: "200px" }).observe(this.area);
    new ResizeObserver(this.redraw).observe(this.area);
    on("colours", () => this.draw());
    if (marks) this.listen(zoom);
  }

  /** Place of a point in pixels of the area. */
  place(x, y) {
    return [this.x.at(x) * this.width, (1 - this.y.at(y)) * this.height];
  }

  axes(x, y) {
    [this.wholeX, this.wholeY] = [x, y];
    this.zoomed = null;
    [this.x, this.y] = [x, y];
    this.redraw();
  }

  draw() {
    if (!this.x) return;
    this.stale = false;
    this.height = this.area.clientHeight;
    this.width = this.area.clientWidth;
    if (!this.width) return;
    this.frameAxes();
    const dots = dotsPerPixel();
    const [wide, high] = [this.width, this.height].map((size) => Math.round((size + 2 * MARGIN) * dots));
    if (this.canvas.width !== wide || this.canvas.height !== high) [this.canvas.width, this.canvas.height] = [wide, high];
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, wide, high);
    context.setTransform(dots, 0, 0, dots, MARGIN * dots, MARGIN * dots);
    this.drawMarks(context, this);
    finish(context);
  }

  frameAxes() {
    const [parts, grid] = [[], []];
    const room = { x: Math.max(3, Math.floor(this.width / 70)), y: Math.max(3, Math.floor(this.height / 45)) };
    let free = -Infinity;
    for (const [value, name] of this.x.ticks(room.x)) {
      const at = this.x.at(value);
      if (!(at >= -0.001 && at <= 1.001)) continue;
      const x = at * this.width;
      grid.push(element("line", { x1: x, x2: x, y1: 0, y2: this.height, class: "grid-line" }));
      const half = 3.6 * Math.min(name.length, 12);
      if (x - half < free) continue;
      free = x + half + 6;
      parts.push(element("text", { x, y: this.height + 18, class: "x-tick" }, cut(name, 12)));
    }
    for (const [value, name] of this.y.ticks(room.y)) {
      const at = this.y.at(value);
      if (!(at >= -0.001 && at <= 1.001)) continue;
      const y = (1 - at) * this.height;
      grid.push(element("line", { x1: 0, x2: this.width, y1: y, y2: y, class: "grid-line" }));
      parts.push(element("text", { x: -8, y: y + 4, class: "y-tick" }, cut(name, 8)));
    }
    this.under.replaceChildren(...grid);
    this.svg.replaceChildren(...parts, ...this.lines(this));
    this.yLabel.textContent = this.y.label + (this.y.log ? " · log" : "");
    this.xLabel.textContent = this.x.label + (this.x.log ? " · log" : "");
  }

  // ---- pointer and keys: marks() gives [row, x pixel, y pixel] of what can be chosen ----

  nearest(event, reach = 22) {
    const box = this.area.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let best = -1;
    for (const [row, x, y] of this.marks()) {
      const away = Math.hypot(x - px, y - py);
      if (away < reach) [best, reach] = [row, away];
    }
    return best;
  }

  listen(zoom) {
    this.area.addEventListener("pointermove", (event) => {
      if (this.dragged) return;
      const row = this.nearest(event);
      heat(row);
      if (row >= 0) showTip(describe(row, this.told?.() ?? []).join("\n"), event.clientX, event.clientY);
      else hideTip();
    });
    this.area.addEventListener("pointerleave", () => { heat(-1); hideTip(); });
    this.area.addEventListener("click", (event) => choose(this.nearest(event)));
    this.frame.addEventListener("keydown", (event) => this.key(event));
    this.frame.addEventListener("blur", () => { heat(-1); hideTip(); });
    if (zoom) this.listenToDrags();
  }

  listenToDrags() {
    const shade = element("div", { class: "zoom-box", hidden: true });
    this.area.append(shade);
    const inside = (event) => {
      const box = this.area.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((v) => Math.min(Math.max(v, 0), 1));
    };
    this.area.addEventListener("pointerdown", (event) => {
      if (event.button || event.pointerType === "touch") return;
      this.dragged = inside(event);
      this.area.setPointerCapture(event.pointerId);
    });
    this.area.addEventListener("pointermove", (event) => {
      if (!this.dragged) return;
      const [[a, b], [c, d]] = [this.dragged, inside(event)];
      shade.hidden = Math.hypot((a - c) * this.width, (b - d) * this.height) < 6;
      Object.assign(shade.style, {
        left: `${100 * Math.min(a, c)}%`, top: `${100 * Math.min(b, d)}%`,
        width: `${100 * Math.abs(a - c)}%`, height: `${100 * Math.abs(b - d)}%`,
      });
    });
    const end = (event) => {
      const started = this.dragged;
      this.dragged = null;
      if (!started || shade.hidden) return;
      shade.hidden = true;
      const [[a, b], [c, d]] = [started, inside(event)];
      if (event.type === "pointerup") this.zoom(Math.min(a, c), Math.max(a, c), 1 - Math.max(b, d), 1 - Math.min(b, d));
    };
    this.area.addEventListener("pointerup", end);
    this.area.addEventListener("pointercancel", end);
    this.area.addEventListener("dblclick", () => this.zoom());
  }

  /** Show a part of what is shown, given as shares of it; all of it without arguments. */
  zoom(left, right, bottom, top) {
    if (left === undefined) [this.x, this.y] = [this.wholeX, this.wholeY];
    else [this.x, this.y] = [this.x.part(left, right), this.y.part(bottom, top)];
    this.zoomed = left !== undefined;
    this.onZoom?.();
    this.redraw();
  }

  key(event) {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1 };
    if (event.key === "Escape" && this.zoomed) { this.zoom(); return; }
    if ((event.key === "Enter" || event.key === " ") && state.hot >= 0) choose(state.hot);
    else if (event.key in steps || event.key === "Home" || event.key === "End") this.step(event, steps[event.key]);
    else return;
    event.preventDefault();
  }

  /** Arrows go from design to design of the front, with Shift of all that are shown: along the axis that they point along. */
  step(event, by) {
    const along = event.key === "ArrowUp" || event.key === "ArrowDown" ? 2 : 1;
    const sign = along === 2 ? -1 : 1;
    let marks = [...this.marks()].filter(([row]) => event.shiftKey || study.status[row] === "f");
    if (!marks.length) marks = [...this.marks()];
    marks.sort((a, b) => sign * (a[along] - b[along]) || a[0] - b[0]);
    if (!marks.length) return;
    const from = state.hot >= 0 ? state.hot : state.chosen;
    const at = marks.findIndex(([row]) => row === from);
    let to = at < 0 ? (by > 0 ? 0 : marks.length - 1) : Math.min(Math.max(at + by, 0), marks.length - 1);
    if (event.key === "Home") to = 0;
    if (event.key === "End") to = marks.length - 1;
    const [row, x, y] = marks[to];
    heat(row);
    const words = describe(row, this.told?.() ?? []);
    const box = this.area.getBoundingClientRect();
    showTip(words.join("\n"), box.left + x, box.top + y);
    say(words.join(", "));
  }
}

/** A word cut to a number of letters. */
const cut = (words, most) => (words.length > most ? `${words.slice(0, most - 1)}…` : words);
