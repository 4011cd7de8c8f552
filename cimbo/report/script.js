"use strict";
// The page reads without this script. It adds tooltips that follow the pointer, a panel for the chosen design, and sorting.
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];

  // ---- tooltips: <title> is what a browser shows without us; one of ours is quicker and works under a finger.
  const tip = document.body.appendChild(document.createElement("div"));
  tip.id = "tip";
  tip.setAttribute("role", "status");
  const marks = new Map();
  for (const title of all("svg title")) {
    marks.set(title.parentNode, title.textContent);
    if (title.parentNode.closest(".plot, .threads, .bar")) title.remove();
  }
  // Pictures of other objectives show the same designs in the same order; only the first carries the words.
  const [first, ...others] = all(".view").map((view) => all("circle, use", view));
  for (const other of others) other.forEach((mark, i) => marks.set(mark, marks.get(first[i])));
  const nearest = (svg, event) => {
    let best = null, reach = 22;
    for (const mark of svg.marks ??= all("circle, use", svg).filter((m) => marks.has(m))) {
      const box = mark.getBoundingClientRect();
      if (!box.width) continue;
      const away = Math.hypot(box.x + box.width / 2 - event.clientX, box.y + box.height / 2 - event.clientY);
      if (away < reach) [best, reach] = [mark, away];
    }
    return best;
  };
  const under = (event) => {
    const svg = event.target.closest(".plot > svg");
    if (svg) return nearest(svg, event);
    for (let node = event.target; node instanceof Element; node = node.parentNode) if (marks.has(node)) return node;
    return null;
  };
  const show = (mark, event) => {
    tip.textContent = marks.get(mark);
    tip.classList.add("shown");
    const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const above = event.clientY - tip.offsetHeight - 14;
    tip.style.left = `${Math.max(8, x)}px`;
    tip.style.top = `${above > 4 ? above : event.clientY + 18}px`;
  };
  let hot = null;
  document.addEventListener("pointermove", (event) => {
    const mark = under(event);
    if (mark !== hot) {
      hot?.classList.remove("hot");
      mark?.classList.add("hot");
      hot = mark;
    }
    if (mark && marks.get(mark)) show(mark, event);
    else tip.classList.remove("shown");
  });
  document.addEventListener("pointerleave", () => tip.classList.remove("shown"));

  // ---- the chosen design: marked in every plot, spelled out in the panel.
  const panel = document.getElementById("chosen");
  const choose = (number) => {
    const row = document.getElementById(`d${number}`);
    if (!row || !panel) return;
    for (const node of all(".on")) node.classList.remove("on");
    for (const node of all(`[data-d="${number}"]`)) node.classList.add("on");
    for (const thread of all(`.threads [data-d="${number}"]`)) thread.parentNode.append(thread);
    panel.replaceChildren(row.querySelector(".design").cloneNode(true));
  };
  document.addEventListener("click", (event) => {
    const mark = under(event) ?? event.target;
    const chosen = mark.closest("a[data-d], .threads [data-d], tbody[data-d]");
    if (!chosen) return;
    if (!event.target.closest("tbody")) event.preventDefault();
    choose(chosen.dataset.d);
  });
  const designs = all("#designs tbody[data-d]");
  if (designs.length) choose(designs[designs.length >> 1].dataset.d);

  // ---- sorting: a design is a <tbody>, so its folded row travels with it.
  for (const table of all("table.sortable")) {
    all("th", table).forEach((head, column) => {
      if (!table.querySelector(`td:nth-child(${column + 1})[data-v]`)) return;
      const button = document.createElement("button");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "ascending" : head.dataset.best !== "max";
        for (const other of all("th", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (body) => {
          const text = body.rows[0].cells[column].dataset.v;
          return text === "" ? null : Number(text);
        };
        const order = (a, b) => (a === null) - (b === null) || (up ? a - b : b - a);
        table.append(...all("tbody", table).sort((a, b) => order(value(a), value(b))));
      });
    });
  }
})();
