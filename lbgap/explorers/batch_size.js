function render({ model, el }) {
  const meta = model.get("meta"), { accuracy, sharpness, paper_accuracy, paper_sharpness } = arrays(model);
  const sizes = meta.batch_sizes, paper = meta.paper ?? [], n = sizes.length, view = page(el, model, meta.title);
  const showArm = choice(view, "arm", "Networks", meta.arms), show = slider(view, "Batch size");
  const charts = [new Chart(view.plots, "Test accuracy in percent against batch size"), new Chart(view.plots, `Sharpness${meta.log ? ", logarithmic," : ""} against batch size`)];
  const x = { log: true, domain: extent([sizes, paper], true) };
  const all = [[accuracy, paper_accuracy ?? []], [sharpness, paper_sharpness ?? []]];
  const y = [
    { label: "Test accuracy (%)", unit: " %", domain: extent(all[0]) },
    { label: `Sharpness at ε = ${human(meta.epsilon)}`, log: meta.log, domain: extent(meta.log ? all[1] : [all[1], 0], meta.log) },
  ];
  const arm = () => clamp(model.get("arm"), meta.arms.length), at = () => clamp(model.get("position"), n);
  // (K, trials) -> a row for each trial
  const rows = (values) => values[0].map((_, t) => column(values, t));
  const now = () => [accuracy[arm()], sharpness[arm()]];

  function draw(width) {
    showArm(arm());
    legend(view, [[0, "mean; small dots: trials"], ...(paper.length ? [[2, "the paper", true]] : [])]);
    now().forEach((values, c) => {
      const theirs = [paper_accuracy, paper_sharpness][c];
      const series = [{ style: 0, x: sizes, dots: rows(values), line: values.map(mean) }];
      if (theirs) series.push({ style: 2, x: paper, dots: [theirs], kind: "hollow" });
      charts[c].draw(width, c ? 210 : 180, { x: { ...x, label: c ? "Batch size" : "" }, y: y[c], series });
    });
  }
  function update() {
    const i = at(), [a, r] = now().map((values) => values[i]), [a0, r0] = now().map((values) => values[0]);
    charts[0].mark(sizes[i], [mean(a)]);
    charts[1].mark(sizes[i], [mean(r)]);
    const name = human(sizes[i], true), who = meta.arms[arm()];
    show(i, n, name);
    const known = [count(a), count(r)];
    const same = known[0] === known[1] || !known[0] || !known[1];
    const note = (k) => (known[k] && !same ? ` (${trials(known[k])})` : "");
    let text = `${capital(who ? who + ", batch" : "Batch")} size ${name}: `;
    text += known[0] || known[1] ? `test accuracy ${spread(a, " %")}${note(0)}, sharpness ${spread(r)}${note(1)}` : "not measured";
    text += same && (known[0] || known[1]) ? ` (${trials(Math.max(...known))}).` : ".";
    const change = [], gap = mean(a) - mean(a0), ratio = mean(r) / mean(r0);
    if (isNumber(gap)) change.push(`accuracy ${human(+Math.abs(gap).toPrecision(2))} percentage points ${gap < 0 ? "lower" : "higher"}`);
    if (isNumber(ratio) && mean(r0) > 0) change.push(`sharpness ${human(ratio)} times as large`);
    if (i && change.length) text += ` Against batch size ${human(sizes[0], true)}: ${change.join(", ")}.`;
    if (!i && known[0] + known[1]) text += " The larger batches are compared with this one.";
    const p = paper.indexOf(sizes[i]), said = [];
    if (p >= 0 && paper_accuracy && isNumber(paper_accuracy[p])) said.push(`test accuracy ${human(paper_accuracy[p])} %`);
    if (p >= 0 && paper_sharpness && isNumber(paper_sharpness[p])) said.push(`sharpness ${human(paper_sharpness[p])}`);
    if (said.length) text += ` The paper: ${said.join(", ")}.`;
    view.caption.textContent = text;
  }
  return run(view, ["arm"], draw, update, () => sizes, charts);
}
export default { render };
