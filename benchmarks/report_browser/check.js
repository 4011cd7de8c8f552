// node check.js REPORT.html [SCREENSHOT_PREFIX] [PARTS]: what only a browser can tell of a report. See README.md beside this file.
// PARTS: some of faults,paper,tabs,dragging; all unless given.
"use strict";
const path = require("path");
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

const WIDTHS = [390, 1280, 1920];
const SCHEMES = ["light", "dark"];
const FRAME = 1000 / 60; // milliseconds

/** Run inside the page: words that lie over others, or that their element cuts off. */
function findFaults() {
  const seen = (e) => e.checkVisibility?.({ checkOpacity: true, checkVisibilityCSS: true }) ?? true;
  const clippers = (e) => { // the box that scrolling ancestors leave
    let box = { left: -Infinity, right: Infinity, top: -Infinity, bottom: Infinity };
    for (let p = e.parentElement; p; p = p.parentElement) {
      const o = getComputedStyle(p);
      if (o.overflowX !== "visible" || o.overflowY !== "visible") {
        const r = p.getBoundingClientRect();
        box = { left: Math.max(box.left, r.left), right: Math.min(box.right, r.right), top: Math.max(box.top, r.top), bottom: Math.min(box.bottom, r.bottom) };
      }
    }
    return box;
  };
  const faults = [];
  const words = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.textContent.trim() || !parent || !seen(parent) || parent.closest("script, style, option, .unseen, #tip, .skip, title")) continue;
    const own = getComputedStyle(parent);
    if (own.overflowX === "hidden" && own.textOverflow === "ellipsis" && parent.scrollWidth > parent.clientWidth + 1) {
      if (!parent.title) faults.push(`cut without a title: ${node.textContent.trim().slice(0, 50)}`);
      continue;
    }
    const range = document.createRange();
    range.selectNodeContents(node);
    const clip = clippers(parent);
    for (const r of range.getClientRects()) {
      if (r.width < 1 || r.height < 1) continue;
      if (r.bottom <= clip.top + 2 || r.top >= clip.bottom - 2 || r.right <= clip.left + 2 || r.left >= clip.right - 2) continue; // scrolled away
      words.push({ text: node.textContent.trim().slice(0, 40), left: r.left + scrollX, right: r.right + scrollX, top: r.top + scrollY + r.height * 0.15, bottom: r.bottom + scrollY - r.height * 0.15, parent, sticky: getComputedStyle(parent.closest("th") ?? parent).position === "sticky" });
      const scrolls = parent.closest(".scroll, pre, aside");
      if (r.right > document.documentElement.clientWidth + 1 && !scrolls) faults.push(`outside on the right: ${node.textContent.trim().slice(0, 50)}`);
      if (r.left < -1 && !scrolls) faults.push(`outside on the left: ${node.textContent.trim().slice(0, 50)}`);
    }
    const style = getComputedStyle(parent);
    if (style.overflowX === "hidden" && style.textOverflow !== "ellipsis" && parent.scrollWidth > parent.clientWidth + 1) faults.push(`cut: ${node.textContent.trim().slice(0, 50)}`);
  }
  words.sort((a, b) => a.top - b.top);
  for (let i = 0; i < words.length; i += 1) {
    for (let j = i + 1; j < words.length && words[j].top < words[i].bottom; j += 1) {
      const [a, b] = [words[i], words[j]];
      if (a.parent === b.parent || a.sticky || b.sticky) continue;
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1.5 && down > 1.5) faults.push(`"${a.text}" over "${b.text}"`);
    }
  }
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push(`the page is ${wide} px wider than the window`);
  return faults;
}

async function open(browser, file, width, scheme, found) {
  const page = await browser.newPage({ viewport: { width, height: width < 500 ? 844 : 900 }, colorScheme: scheme });
  page.on("console", (m) => found.push(`console: ${m.text()}`));
  page.on("pageerror", (e) => found.push(`error: ${e.message}`));
  page.on("request", (r) => { if (!/^(file|data|blob):/.test(r.url())) found.push(`request: ${r.url()}`); });
  await page.goto(`file://${path.resolve(file)}`);
  await page.waitForTimeout(800);
  return page;
}

/** Frames of the page while the mouse drags over a part of it, in the browser's trace: their rate, and the work of the page's thread
 * for each, which is scripts and what canvases noted before, drawn when the frame is handed on. */
async function frames(page, browser, drag) {
  const session = await browser.newBrowserCDPSession();
  const events = [];
  session.on("Tracing.dataCollected", (data) => events.push(...data.value));
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["disabled-by-default-devtools.timeline", "devtools.timeline", "cc"] } });
  const times = page.evaluate(() => new Promise((done) => {
    const stamps = [];
    const step = (t) => { stamps.push(t); if (window.__stop) done(stamps); else requestAnimationFrame(step); };
    requestAnimationFrame(step);
  }));
  await drag();
  await page.evaluate(() => { window.__stop = true; });
  const stamps = await times;
  const ended = new Promise((done) => session.once("Tracing.tracingComplete", done));
  await session.send("Tracing.end");
  await ended;
  await page.evaluate(() => { window.__stop = false; });
  const gaps = stamps.slice(1).map((t, i) => t - stamps[i]).sort((a, b) => a - b);
  const work = events.filter((e) => e.name === "ProxyMain::BeginMainFrame").map((e) => (e.tdur ?? e.dur ?? 0) / 1000).sort((a, b) => a - b);
  const at = (list, share) => (list.length ? list[Math.min(list.length - 1, Math.floor(share * list.length))] : 0);
  return {
    frames: gaps.length, perSecond: Number((1000 * gaps.length / (stamps.at(-1) - stamps[0])).toFixed(1)),
    medianGapMs: Number(at(gaps, 0.5).toFixed(1)), p95GapMs: Number(at(gaps, 0.95).toFixed(1)),
    within60: Number((gaps.filter((g) => g <= FRAME * 1.2).length / gaps.length).toFixed(3)),
    workMedianMs: Number(at(work, 0.5).toFixed(2)), workP95Ms: Number(at(work, 0.95).toFixed(2)),
  };
}

async function dragging(browser, file, found) {
  const page = await open(browser, file, 1280, "light", found);
  const measured = {};
  const area = page.locator(".threads-frame .area");
  if (await area.count()) {
    await area.scrollIntoViewIfNeeded();
    await page.evaluate(() => document.querySelector(".threads-frame .area").scrollIntoView());
    await page.waitForTimeout(1500); // until all designs are drawn
    const box = await area.boundingBox();
    measured.brush = await frames(page, browser, async () => {
      await page.mouse.move(box.x + 20, box.y + 60);
      await page.mouse.down();
      for (let i = 0; i <= 120; i += 1) { await page.mouse.move(box.x + 20 + (box.width - 60) * i / 120, box.y + 60); await page.waitForTimeout(8); }
      await page.mouse.up();
    });
    await page.locator("text=select all again").click();
  }
  const plot = page.locator("#front-plot .area");
  if (await plot.count()) {
    await page.evaluate(() => document.querySelector("#front").scrollIntoView());
    const box = await plot.boundingBox();
    measured.hover = await frames(page, browser, async () => {
      for (let i = 0; i <= 120; i += 1) { await page.mouse.move(box.x + box.width * i / 120, box.y + box.height * (0.5 + 0.4 * Math.sin(i / 9))); await page.waitForTimeout(8); }
    });
    measured.zoom = await frames(page, browser, async () => {
      await page.mouse.move(box.x + 30, box.y + 30);
      await page.mouse.down();
      for (let i = 0; i <= 120; i += 1) { await page.mouse.move(box.x + 30 + (box.width - 60) * i / 120, box.y + 30 + (box.height - 60) * i / 120); await page.waitForTimeout(8); }
      await page.mouse.up();
    });
  }
  await page.close();
  return measured;
}

/** Stops of the tab key, and those among them that say nothing. */
async function tabStops(browser, file, found) {
  const page = await open(browser, file, 1280, "light", found);
  const stops = [];
  for (let i = 0; i < 400; i += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body) return null;
      return { name: (e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent || e.title || "").trim().slice(0, 60), what: e.localName };
    });
    if (!stop) break;
    stops.push(stop);
  }
  await page.close();
  return { stops: stops.length, silent: stops.filter((s) => !s.name).map((s) => s.what) };
}

/** Faults of the page as it is drawn for a printer; with a name the PDF, too. */
async function paper(browser, file, prefix) {
  const found = [];
  const page = await open(browser, file, 1280, "dark", found);
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await page.waitForTimeout(300);
  found.push(...await page.evaluate(findFaults));
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  if (prefix) await page.pdf({ path: `${prefix}.pdf`, format: "A4", printBackground: true });
  await page.close();
  return found;
}

(async () => {
  const [, , file, prefix, asked = "faults,paper,tabs,dragging"] = process.argv;
  const parts = asked.split(",");
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const report = { file: path.basename(file), faults: {}, axe: {}, tabs: null, dragging: null };
  const all = [];
  for (const scheme of parts.includes("faults") ? SCHEMES : []) {
    for (const width of WIDTHS) {
      const found = [];
      const page = await open(browser, file, width, scheme, found);
      found.push(...await page.evaluate(findFaults));
      if (prefix) await page.screenshot({ path: `${prefix}-${scheme}-${width}.png`, fullPage: true });
      const session = await page.context().newCDPSession(page);
      await session.send("Page.setBypassCSP", { enabled: true });
      await session.send("Runtime.evaluate", { expression: axe });
      const result = await page.evaluate(() => window.axe.run(document));
      report.axe[`${scheme} ${width}`] = result.violations.map((v) => `${v.impact}: ${v.id} (${v.nodes.length}) ${v.nodes[0].target} ${v.nodes[0].failureSummary?.split("\n")[1]?.trim() ?? ""}`);
      report.faults[`${scheme} ${width}`] = [...new Set(found)];
      await page.close();
    }
  }
  if (parts.includes("paper")) report.faults.paper = await paper(browser, file, prefix);
  if (parts.includes("tabs")) report.tabs = await tabStops(browser, file, all);
  if (parts.includes("dragging")) report.dragging = await dragging(browser, file, all);
  report.faults.others = all;
  await browser.close();
  console.log(JSON.stringify(report, null, 1));
  const serious = Object.values(report.axe).flat().filter((line) => /^(serious|critical)/.test(line));
  const faults = Object.values(report.faults).flat();
  process.exitCode = serious.length || faults.length || report.tabs?.silent.length ? 1 : 0;
})();
