const NAMES = ["train_loss", "test_loss", "train_accuracy", "test_accuracy"];

function render({ model, el }) {
  const { title, paths, small_label, large_label } = model.get("meta"), values = arrays(model), view = page(el, model, title);
  const most = Math.max(...paths.map((one) => one.trials));
  const showPath = choice(view, "path", "Path", paths.map((one) => one.name));
  const showTrial = most > 1 ? choice(view, "trial", "Trial", [], true) : () => {};
  const showAxis = choice(view, "loss_axis", "Loss axis", ["logarithmic", "linear"]);
  const show = slider(view, "Position α");
  const charts = ["Cross-entropy loss", "Accuracy in percent"].map((what) => new Chart(view.plots, what + " along the path"));
  const which = () => clamp(model.get("path"), paths.length), path = () => paths[which()];
  // 0: the mean of all
  const trial = () => (model.get("trial") <= path().trials ? Math.max(0, model.get("trial")) : 0);
  const at = () => clamp(model.get("position"), path().alpha.length);
  const rows = (name) => values[`${which()}.${name}`];
  const all = (...pair) => paths.map((_, p) => pair.map((name) => values[`${p}.${name}`]));
  let lines = {};

  function draw(width) {
    const { alpha, trials: n } = path(), log = model.get("loss_axis") === 0, one = trial();
    showPath(which());
    showTrial(one, ["mean of all", ...Array.from({ length: n }, (_, t) => String(t + 1))]);
    showAxis(log ? 0 : 1);
    legend(view, [[0, "training set"], [1, "test set"]]);
    for (const name of NAMES) lines[name] = one ? rows(name)[one - 1] : means(rows(name), alpha.length);
    const domain = [Math.min(0, ...alpha), Math.max(1, ...alpha)], pad = (domain[1] - domain[0]) * 0.01;
    const x = { domain: [domain[0] - pad, domain[1] + pad] };
    const guide = (x, label, anchor) => ({ x, text: width < 500 ? label.replace(/ *\(.*/, "") : label, anchor });
    const guides = [guide(0, small_label, domain[0] > -0.4 ? "start" : "end"), guide(1, large_label, domain[1] < 1.4 ? "end" : "start")];
    const y = [
      { label: "Cross-entropy loss", log, domain: log ? extent(all("train_loss", "test_loss"), true) : extent([0, all("train_loss", "test_loss")]) },
      { label: "Accuracy (%)", unit: " %", domain: extent(all("train_accuracy", "test_accuracy")) },
    ];
    charts.forEach((chart, c) => {
      const series = ["train", "test"].map((set, i) => {
        const name = `${set}_${c ? "accuracy" : "loss"}`;
        return { style: i, name: set + " ", x: alpha, line: lines[name], faint: one || n === 1 ? [] : rows(name) };
      });
      chart.draw(width, c ? 190 : 215, { x: { ...x, label: c ? "α" : "" }, y: y[c], series, guides: guides.map((one) => (c ? { x: one.x } : one)) });
    });
  }
  function update() {
    const { alpha, trials: n, name } = path(), i = at(), one = trial(), a = alpha[i];
    const read = (key) => lines[key][i];
    charts[0].mark(a, [read("train_loss"), read("test_loss")]);
    charts[1].mark(a, [read("train_accuracy"), read("test_accuracy")]);
    show(i, alpha.length, human(a));
    const end = [small_label, large_label][a], place = end ? `, at the ${end} minimiser` : "";
    const who = n === 1 ? "" : one ? `, trial ${one}` : `, mean of ${n} trials`;
    const percent = (key) => human(read(key)) + (isNumber(read(key)) ? " %" : "");
    let text = `α = ${human(a)} on the ${name} path${place}${who}: training loss ${human(read("train_loss"))}, test loss ${human(read("test_loss"))}; training accuracy ${percent("train_accuracy")}, test accuracy ${percent("test_accuracy")}.`;
    if (model.get("loss_axis") === 0 && (read("train_loss") <= 0 || read("test_loss") <= 0)) text += " A loss of 0 lies on the grey floor line.";
    view.caption.textContent = text;
  }
  let last = which();
  const follow = () => {
    // another path may have other points: stay at the same α
    const { alpha } = paths[last], a = alpha[clamp(model.get("position"), alpha.length)];
    last = which();
    put(view, "position", nearest(path().alpha, a));
  };
  const stop = run(view, ["path", "trial", "loss_axis"], draw, update, () => path().alpha, charts);
  model.on("change:path", follow);
  return () => {
    stop();
    model.off("change:path", follow);
  };
}
export default { render };
