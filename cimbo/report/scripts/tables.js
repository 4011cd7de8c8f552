// Tables: sorted by a click on a heading, walked through by arrow keys, and in step with the pictures.

/** Sort by a column; a heading says how it is sorted. */
function makeSortable(table) {
  all("thead th", table).forEach((head, index) => {
    if (!table.querySelector(`tbody td:nth-child(${index + 1})[data-v]`)) return;
    const button = element("button", {}, ...head.childNodes);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "ascending" : head.dataset.best !== "max";
      for (const other of all("th", table)) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (body) => {
        const text = body.rows[0].cells[index].dataset.v;
        return text === "" ? null : Number(text);
      };
      const order = (a, b) => (a === null) - (b === null) || (up ? a - b : b - a);
      table.append(...all("tbody", table).sort((a, b) => order(value(a), value(b))));
    });
  });
}

/** One stop of the tab key for all rows; arrows walk, Enter and Space choose. */
function makeWalkable(table) {
  const bodies = () => all("tbody[data-row]", table);
  if (!bodies().length) return;
  for (const body of bodies()) {
    const cell = body.querySelector(".key-cell");
    const button = element("button", { class: "pick", tabindex: -1 }, ...cell.childNodes);
    cell.append(button);
    body.addEventListener("click", () => { choose(Number(body.dataset.row)); settle(body); });
    body.addEventListener("pointerenter", () => heat(Number(body.dataset.row)));
    body.addEventListener("pointerleave", () => heat(-1));
  }
  const settle = (body) => {
    for (const other of all(".pick", table)) other.tabIndex = -1;
    body.querySelector(".pick").tabIndex = 0;
  };
  settle(bodies()[0]);
  table.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const from = event.target.closest("tbody[data-row]");
    if (!by || !from) return;
    const shown = bodies().filter((body) => !body.hidden);
    const to = shown[shown.indexOf(from) + by];
    event.preventDefault();
    if (!to) return;
    settle(to);
    to.querySelector(".pick").focus();
  });
}

function drawTables() {
  for (const table of all("table.sortable")) {
    makeSortable(table);
    makeWalkable(table);
  }
  const note = document.getElementById("brushed-rows");
  on("settled", () => {
    let hidden = 0;
    for (const body of all("#designs tbody[data-row]")) {
      body.hidden = state.brushed && !state.selected[Number(body.dataset.row)];
      hidden += body.hidden;
    }
    if (note) note.textContent = hidden ? `${hidden} designs are outside what you selected among all designs below, and hidden here.` : "";
  });
}
