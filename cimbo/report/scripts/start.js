// Everything is drawn, then the sharpest knee is chosen, or the middle of the front.

for (const draw of [drawFront, drawPanel, drawThreads, drawChip, drawSurrogate, drawTables]) {
  try {
    draw();
  } catch (error) {
    console.error(error); // the other parts are drawn nevertheless
  }
}
{
  const front = [...study.status].map((status, row) => (status === "f" ? row : -1)).filter((row) => row >= 0);
  front.sort((a, b) => objectives[0].shown[b] - objectives[0].shown[a]);
  const first = study.knees[0] ?? front[front.length >> 1] ?? (rowCount ? 0 : -1);
  const asked = /^#d(\d+)$/.exec(location.hash);
  choose(asked ? Number(asked[1]) - 1 : first);
}
