"use strict";
const live = document.getElementById("live"), state = document.getElementById("state");
let last = "";
async function look() {
  try {
    const answer = await fetch("/fragment", { cache: "no-store" });
    const text = await answer.text();
    if (!answer.ok) { state.textContent = text; }
    else {
      if (text !== last) { live.innerHTML = last = text; }
      state.textContent = "Looked at " + new Date().toLocaleTimeString() + ".";
    }
  } catch { state.textContent = "The server has ended: this is what it showed last."; }
  setTimeout(look, 2000);
}
setTimeout(look, 2000);
