// What the parts of the page share: the chosen design, the design under the pointer, and which designs the brushes select.

const state = {
  chosen: -1,
  hot: -1,
  selected: new Uint8Array(rowCount).fill(1),
  brushed: false,
};
// "selected" is told in every frame of a drag, "settled" once it ends.
const listeners = { chosen: [], hot: [], selected: [], settled: [], colours: [] };

/** Call a function whenever something of the state changes. */
const on = (what, listener) => listeners[what].push(listener);
const tell = (what) => listeners[what].forEach((listener) => listener());

function choose(row) {
  if (row < 0 || row >= rowCount || row === state.chosen) return;
  state.chosen = row;
  tell("chosen");
}

function heat(row) {
  if (row === state.hot) return;
  state.hot = row;
  tell("hot");
}

/** Run a function in the next frame, however often it is asked for before. */
function inNextFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}

// Colours come from the style sheet; what is drawn on a canvas has to be drawn anew when they change, and for paper.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => tell("colours"));
const onPaper = () => document.documentElement.classList.contains("paper");

/** Dots of a canvas for a pixel: on paper two, on a screen what it has, within reason. */
const dotsPerPixel = () => (onPaper() ? 2 : Math.min(devicePixelRatio || 1, 2));

/** For a printer a picture takes the place of a canvas that is finished: Chromium leaves large canvases out. */
function finish(context) {
  const { canvas } = context;
  if (canvas.nextSibling?.localName === "img") canvas.nextSibling.remove();
  canvas.hidden = onPaper();
  if (onPaper()) canvas.after(element("img", { src: canvas.toDataURL(), alt: "", class: canvas.className }));
}

for (const [event, paper] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => {
    document.documentElement.classList.toggle("paper", paper);
    tell("colours");
  });
}

// ---- one line for those who listen instead of looking ---------------------------------------------------------------

const spokenLine = document.body.appendChild(element("div", { class: "unseen", role: "status" }));
const say = (words) => { spokenLine.textContent = words; };

// ---- tooltips -------------------------------------------------------------------------------------------------------

const tip = document.body.appendChild(element("div", { id: "tip", "aria-hidden": "true" }));

function showTip(words, x, y) {
  tip.textContent = words;
  tip.classList.add("shown");
  const left = Math.min(x + 14, innerWidth - tip.offsetWidth - 8);
  const above = y - tip.offsetHeight - 14;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above > 4 ? above : y + 18}px`;
}
const hideTip = () => tip.classList.remove("shown");

/** What a tooltip says of a row: what it is, then every objective, then the variables of the axes. */
function describe(row, more = []) {
  const said = { f: "on the front", d: "dominated", i: "infeasible", x: "failed; predicted", n: "predicted, not verified" };
  const knee = study.knees.includes(row) ? ", a knee" : "";
  const lines = [`${rowName(row)} ${said[study.status[row]]}${knee}`];
  for (const o of objectives) lines.push(`${o.spoken} ${amount(o.shown[row], o.unit)}`);
  for (const variable of more) {
    if (variable && !variable.metric?.goal && variable.id !== "number") lines.push(`${variable.spoken} ${variable.write(variable.values[row])}`);
  }
  return lines;
}

// Pictures that need no script carry <title>; ours is quicker and works under a finger.
const titles = new Map();
for (const title of all("svg title")) {
  titles.set(title.parentNode, title.textContent);
  title.remove();
}
let shownFor = null;
document.addEventListener("pointermove", (event) => {
  const mark = event.target.closest?.("svg *");
  const words = mark && titles.get(mark);
  if (words) showTip(words, event.clientX, event.clientY);
  else if (shownFor) hideTip();
  shownFor = words ? mark : null;
}, { passive: true });
