function render({ model, el }) {
  const meta = model.get("meta"), { gain, ratio, left, trials: counts } = arrays(model), { remedies, networks } = meta, n = remedies.length;
  const view = page(el, model, meta.title), showNetwork = choice(view, "network", "Network", networks), show = slider(view, "Remedy");
  const charts = [new Chart(view.plots, "Points of test accuracy over plain LB against sharpness over plain LB's, logarithmic; a mark for each remedy")];
  const which = () => clamp(model.get("network"), networks.length), at = () => clamp(model.get("position"), n);
  const there = (i) => isNumber(gain[which()][i][0]) && ratio[which()][i][0] > 0;
  // "0.9 points (95 % interval 0.5 to 1.3)" of a value and its interval
  const told = ([v, low, high], unit) => `${human(v)}${unit}${isNumber(low) ? ` (95 % interval ${human(low)} to ${human(high)})` : " (no interval)"}`;
  const points = (three) => told(three, human(three[0]) === "1" ? " point" : " points");
  let width = 0;

  function draw(now) {
    width = now;
    showNetwork(which());
    const plain = remedies.includes(meta.small) ? [[2, meta.small, true]] : [];
    legend(view, [[0, "the remedy chosen, with 95 % intervals"], [1, "the others", true], ...plain]);
  }
  function update() {
    const i = at(), g = gain[which()], r = ratio[which()], seen = there(i);
    const x = { log: true, label: "Sharpness over plain LB's", domain: extent([r, 1], true) };
    const y = { label: "Points over plain LB", unit: " points", domain: extent([g, 0]) };
    const only = (keep) => g.map(([v], k) => (there(k) && keep(k) ? v : NaN)), xs = r.map(([v]) => (v > 0 ? v : 1));
    const series = [
      { style: 0, x: xs, dots: [only((k) => k === i)] },
      { style: 1, x: xs, dots: [only((k) => k !== i && remedies[k] !== meta.small)], kind: "hollow" },
      { style: 2, x: xs, dots: [only((k) => k !== i && remedies[k] === meta.small)], kind: "hollow" },
      { style: 2, x: x.domain, line: [0, 0] },
    ];
    if (seen && isNumber(g[i][1])) series.push({ style: 0, x: [r[i][0], r[i][0]], line: g[i].slice(1) });
    if (seen && r[i][1] > 0) series.push({ style: 0, x: r[i].slice(1), line: [g[i][0], g[i][0]] });
    const where = Math.log(1 / x.domain[0]) / Math.log(x.domain[1] / x.domain[0]);
    charts[0].draw(width, 320, { x, y, series, guides: [{ x: 1, text: "plain LB", anchor: where < 0.2 ? "start" : where > 0.8 ? "end" : "middle" }] });
    if (seen) charts[0].mark(r[i][0], [g[i][0], ...Array(series.length - 1).fill(NaN)]);
    else charts[0].hand.setAttribute("visibility", "hidden");
    show(i, n, remedies[i]);
    const count = counts[which()][i], [low, high] = g[i].slice(1), [l, ...behind] = left[which()][i];
    let text = `${capital(remedies[i])}, ${networks[which()]}`;
    if (!isNumber(g[i][0])) text += ": not measured.";
    else {
      text += `, ${count} trial${count === 1 ? "" : "s"}: ${points(g[i])} over plain LB, `;
      text += !isNumber(low) ? "which one trial leaves open. " : low > 0 ? "a gain. " : high < 0 ? "a loss. " : "which these trials do not tell from 0. ";
      text += isNumber(r[i][0]) ? `It ends ${told(r[i], " times as sharp as plain LB")}.` : "Its sharpness is not measured, so it has no place in the chart.";
      if (isNumber(l) && remedies[i] !== meta.small)
        text += l < 0 ? ` It is ahead of plain SB by ${points([-l, -behind[1], -behind[0]])}.` : ` Plain SB is ahead of it by ${points([l, ...behind])}.`;
    }
    view.caption.textContent = text;
  }
  return run(view, ["network"], draw, update, () => ratio[which()].map(([v], k) => (there(k) ? v : Infinity)), charts);
}
export default { render };
