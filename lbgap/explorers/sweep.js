function render({ model, el }) {
  const meta = model.get("meta"), data = arrays(model), { at, names, panels, series, choices, paper = [] } = meta, n = at.length;
  const view = page(el, model, meta.title), showChoice = choice(view, "arm", meta.offered, choices), show = slider(view, meta.axis);
  const which = () => clamp(model.get("arm"), choices.length), last = series.length - 1;
  const name = (i) => names?.[i] ?? human(at[i], true), place = (i) => meta.place.replace("{}", name(i));
  const theirs = panels.map((panel) => data["paper_" + panel.keys[0]]);
  const words = ({ name, log, unit }) => `${capital(name)}${unit ? " in percent" : log ? ", logarithmic," : ""} against ${meta.lower}`;
  const charts = panels.map((panel) => new Chart(view.plots, words(panel)));
  const x = { log: meta.log, domain: extent([at, paper], meta.log) }, heights = [[320], [180, 210], [150, 150, 180]][panels.length - 1];
  const y = panels.map(({ keys, label, log, unit }, c) => {
    const all = [keys.map((key) => data[key]), theirs[c] ?? [], log || unit ? [] : 0];
    return { label, log, unit, domain: extent(all, log) };
  });
  // [panel][series][place][trial]
  const now = () => panels.map(({ keys }) => keys.map((key) => data[key][which()]));
  // (K, trials) -> a row for each trial
  const rows = (values) => values[0].map((_, t) => column(values, t));

  function draw(width) {
    showChoice(which());
    legend(view, [...series.map((one, k) => [k, k ? one : (one && one + ": ") + "mean; small dots: trials"]), ...(paper.length ? [[2, "the paper", true]] : [])]);
    // as many of the places' names as there is room for
    const step = names && Math.ceil((n * (7 * Math.max(...names.map((one) => one.length)) + 12)) / (width - 68));
    const named = names?.map((one, i) => [at[i], i % step ? "" : one]);
    now().forEach((lists, c) => {
      const marks = lists.map((values, k) => ({ style: k, name: series[k] && series[k] + " ", x: at, dots: rows(values), line: values.map(mean) }));
      if (theirs[c]) marks.push({ style: 2, x: paper, dots: [theirs[c]], kind: "hollow" });
      charts[c].draw(width, heights[c], { x: { ...x, named, label: panels[c + 1] ? "" : meta.axis }, y: y[c], series: marks });
    });
  }
  // "accuracy 2.5 percentage points lower, sharpness 411 times as large": the trials of each panel, a, against others, b
  function change(a, b) {
    const said = panels.map(({ short, unit }, c) => {
      const p = mean(a[c]), q = mean(b[c]);
      if (unit && isNumber(p - q)) return `${short} ${human(+Math.abs(p - q).toPrecision(2))} percentage points ${p < q ? "lower" : "higher"}`;
      return !unit && q > 0 && p > 0 ? `${short} ${human(p / q)} times as large` : "";
    });
    return said.filter(Boolean).join(", ");
  }
  function update() {
    const i = clamp(model.get("position"), n), lists = now(), of = (k, i) => lists.map((list) => list[k][i]);
    charts.forEach((chart, c) => chart.mark(at[i], lists[c].map((list) => mean(list[i]))));
    show(i, n, name(i));
    const known = lists.flatMap((list) => list.map((values) => count(values[i]))).filter(Boolean), same = new Set(known).size < 2;
    const told = (who, v, unit) => `${who} ${spread(v, unit)}${count(v) && !same ? ` (${trials(count(v))})` : ""}`;
    const each = panels.map(({ name, unit }, c) => (last ? name + ": " : "") + lists[c].map((list, k) => told(last ? series[k] : name, list[i], unit)).join(", "));
    let text = capital([choices[which()], place(i)].filter(Boolean).join(", ")) + ": ";
    text += known.length ? each.join(last ? "; " : ", ") + (same ? ` (${trials(known[0])}).` : ".") : "not measured.";
    const others = last ? series.slice(0, -1).map((one, k) => [`${capital(series[last])} against ${one}`, of(k, i)]) : i ? [["Against " + place(0), of(0, 0)]] : [];
    for (const [who, b] of others) if (change(of(last, i), b)) text += ` ${who}: ${change(of(last, i), b)}.`;
    if (!last && !i && known.length) text += ` ${meta.others} are compared with this one.`;
    const p = paper.indexOf(at[i]), said = panels.map(({ name, unit }, c) => (isNumber(theirs[c]?.[p]) ? `${name} ${human(theirs[c][p])}${unit}` : "")).filter(Boolean);
    if (said.length) text += ` The paper: ${said.join(", ")}.`;
    if (lists.some((list, c) => panels[c].log && list.some((values) => values[i].some((v) => v <= 0)))) text += " Values of zero or less lie on the grey floor line.";
    view.caption.textContent = text;
  }
  return run(view, ["arm"], draw, update, () => at, charts);
}
export default { render };
