function render({ model, el }) {
  const meta = model.get("meta"), values = arrays(model), { epsilons, curves } = meta, n = epsilons.length, view = page(el, model, meta.title);
  const showCurve = choice(view, "curve", "Measured", curves, curves.length > 1), show = slider(view, "Box size ε");
  const charts = [new Chart(view.plots, "Sharpness against epsilon, both logarithmic, for small and large batch")];
  const which = () => clamp(model.get("curve"), curves.length), at = () => clamp(model.get("position"), n);
  const now = () => ["small", "large"].map((side) => values[`${which()}.${side}`]);
  const domain = extent(Object.values(values), true);

  function draw(width) {
    showCurve(which());
    legend(view, [[0, "small batch"], [1, "large batch"]]);
    const series = now().map((rows, style) => ({ style, name: ["small ", "large "][style], x: epsilons, dots: rows, line: means(rows, n) }));
    charts[0].draw(width, 320, { x: { log: true, label: "ε", domain: extent(epsilons, true) }, y: { label: "Sharpness", log: true, domain }, series });
  }
  function update() {
    const i = at(), [small, large] = now().map((rows) => column(rows, i)), name = human(epsilons[i]);
    charts[0].mark(epsilons[i], [mean(small), mean(large)]);
    show(i, n, name);
    const known = [count(small), count(large)], both = known[0] === known[1];
    const note = (k) => (known[k] && !both ? ` (${trials(known[k])})` : "");
    let text = `ε = ${name}, ${curves[which()]}: `;
    if (!known[0] && !known[1]) text += "not measured.";
    else text += `sharpness ${spread(small)}${note(0)} for the small batch, ${spread(large)}${note(1)} for the large batch${both ? ` (${trials(known[0])})` : ""}.`;
    const a = mean(small), b = mean(large), sides = b < a ? ["small", "large"] : ["large", "small"];
    if (known[0] && known[1])
      text += a > 0 && b > 0 ? ` The ${sides[0]} batch is ${human(Math.max(a / b, b / a))} times as sharp as the ${sides[1]} one.` : " A ratio cannot be formed, since a mean is zero or negative.";
    for (const [side, list] of [["small", small], ["large", large]]) {
      const low = list.filter((v) => v <= 0).length;
      if (low) text += ` ${capital(human(low))} of ${human(count(list))} ${side}-batch values ${low === 1 ? "is" : "are"} zero or negative and ${low === 1 ? "lies" : "lie"} on the grey floor line, since a logarithmic axis has no zero.`;
    }
    view.caption.textContent = text;
  }
  return run(view, ["curve"], draw, update, () => epsilons, charts);
}
export default { render };
