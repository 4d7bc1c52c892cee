function render({ model, el }) {
  const { title, efficiencies, batch_ratios, iterations } = model.get("meta"), { times, even } = arrays(model), view = page(el, model, title);
  const showF = slider(view, "SB's parallel efficiency f", "efficiency"), showB = slider(view, "Batch sizes B_SB / B_LB", "batches");
  const show = slider(view, "Iterations I_LB / I_SB");
  const charts = [new Chart(view.plots, "Time of LB over time of SB against the ratio of their iterations, both logarithmic")];
  const f = () => clamp(model.get("efficiency"), efficiencies.length), b = () => clamp(model.get("batches"), batch_ratios.length);
  const at = () => clamp(model.get("position"), iterations.length);
  const x = { log: true, label: "I_LB / I_SB", domain: extent([iterations, even], true) };
  const y = { log: true, label: "Time of LB / time of SB", unit: " times", domain: extent(times, true) };

  function draw(width) {
    legend(view, [[0, "LB's time over SB's"], [2, "as long as SB"]]);
    const limit = even[f()][b()], where = Math.log(limit / x.domain[0]) / Math.log(x.domain[1] / x.domain[0]);
    const guides = [{ x: limit, text: `break-even ${human(limit)}`, anchor: where < 0.2 ? "start" : where > 0.8 ? "end" : "middle" }];
    const series = [
      { style: 0, x: iterations, line: times[f()][b()] },
      { style: 2, x: x.domain, line: [1, 1] },
    ];
    charts[0].draw(width, 300, { x, y, series, guides });
  }
  function update() {
    const i = at(), time = times[f()][b()][i], limit = even[f()][b()], names = [efficiencies[f()], batch_ratios[b()], iterations[i]].map((v) => human(v));
    charts[0].mark(iterations[i], [time, NaN]);
    showF(f(), efficiencies.length, names[0]);
    showB(b(), batch_ratios.length, names[1]);
    show(i, iterations.length, names[2]);
    const outcome = Math.abs(time - 1) < 1e-5 ? "exactly as long as SB: the break-even" : `${human(time)} times as long as SB: it ${time < 1 ? "pays" : "does not pay"}`;
    view.caption.textContent =
      `With f = ${names[0]} and B_SB / B_LB = ${names[1]} the large batch breaks even at I_LB / I_SB = ${names[1]} / ${names[0]} = ${human(limit)}. ` +
      `With ${names[2]} times as many iterations as SB it takes ${outcome}.`;
  }
  return run(view, ["efficiency", "batches"], draw, update, () => iterations, charts);
}
export default { render };
