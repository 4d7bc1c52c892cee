// The live laboratory's page: what the reader presses, and what is drawn of it. The training is in trainer.js.
const SIDES = ["small", "large"];
// Runs in a web worker, of its own text: everything that `work` yields, a few times a second and whenever an arm gets on.
function worker(trainer) {
  onmessage = ({ data: { wasm, pixels, labels, setting, epsilons } }) => {
    let lab, waiting = [], last = 0;
    try {
      lab = trainer(wasm, pixels, labels);
    } catch {
      lab = trainer(null, pixels, labels);
      waiting.push({ plain: true });
    }
    for (const message of lab.work(setting, epsilons)) {
      waiting.push(message);
      if (message.end !== "" || performance.now() - last > 50) postMessage(waiting), (waiting = []), (last = performance.now());
    }
    postMessage([...waiting, { over: true }]);
  };
}
// The same in the page itself, a little at a time, for browsers that refuse workers.
function here({ wasm, pixels, labels, setting, epsilons }, tell) {
  let lab, on = true, first = [];
  try {
    lab = trainer(wasm, pixels, labels);
  } catch {
    lab = trainer(null, pixels, labels);
    first = [{ plain: true }];
  }
  const work = lab.work(setting, epsilons);
  const slice = () => {
    const until = performance.now() + 12, out = first;
    first = [];
    while (on && performance.now() < until) {
      const { value, done } = work.next();
      out.push(done ? { over: true } : value);
      if (done) on = false;
    }
    if (out.length) tell(out);
    if (on) setTimeout(slice);
  };
  setTimeout(slice);
  return () => void (on = false);
}
// Starts a job; returns the function that stops it and gives its memory back.
function begin(job, tell) {
  let stop;
  try {
    const url = URL.createObjectURL(new Blob([`${draw};(${worker})(${trainer})`], { type: "text/javascript" })), thread = new Worker(url);
    thread.onmessage = ({ data }) => tell(data);
    thread.onerror = (event) => {
      event.preventDefault();
      thread.terminate();
      stop = here(job, tell);
    };
    stop = () => (thread.terminate(), URL.revokeObjectURL(url));
    thread.postMessage(job);
  } catch {
    stop = here(job, tell);
  }
  return () => stop();
}
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
let unpacked; // once, when it is first needed: {pixels, labels}
async function digits() {
  const stream = new Blob([bytes(DIGITS)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const both = new Uint8Array(await new Response(stream).arrayBuffer()), count = (both.length * 2) / 197, pixels = new Uint8Array(196 * count), labels = new Uint8Array(count);
  both.forEach((pair, j) => {
    for (const [at, value] of [[2 * j, pair >> 4], [2 * j + 1, pair & 15]]) {
      const i = at % count, k = (at - i) / count;
      if (k < 196) pixels[i * 196 + k] = value;
      else labels[i] = value;
    }
  });
  return { pixels, labels };
}

function render({ model, el }) {
  const meta = model.get("meta"), { usual, epsilons, rates, batches } = meta, stored = arrays(model), view = page(el, model, meta.title);
  const still = matchMedia("(prefers-reduced-motion: reduce)"), results = new Map();
  let phase = "ready", run = 0, seed = meta.seed, arms = [], stops = [], width = 0, frame = 0, guess = -1, now = { ...usual }, slow = false, words = "";
  const heading = (text) => h("p", { class: "lbg-title" }, text);

  // ---- what can be pressed
  const named = (input, text) => h("label", {}, input, text);
  const guesses = ["the small batch", "the large batch", "neither"].map((text) => [h("input", { type: "radio", name: fresh() }), text]);
  guesses.forEach(([input], i) => ((input.name = guesses[0][0].name), input.addEventListener("change", () => ((guess = i), show()))));
  const go = h("button", { type: "button", class: "lbg-go" }, "Go"), halt = h("button", { type: "button" }, "Stop"), hint = h("span", {});
  const asks = [];
  const ask = (label, key, options, text = (v) => human(v, true)) => {
    const id = fresh(), input = h("select", { id }, ...options.map((v) => h("option", {}, text(v))));
    input.addEventListener("change", () => change(key, options[input.selectedIndex]));
    asks.push([input, () => (input.selectedIndex = options.indexOf(now[key]))]);
    return h("div", {}, h("label", { for: id }, label), input);
  };
  const tick = (label, key, yes, no) => {
    const input = h("input", { type: "checkbox" });
    input.addEventListener("change", () => change(key, input.checked ? yes : no));
    asks.push([input, () => (input.checked = now[key] === yes)]);
    return h("div", {}, named(input, label));
  };
  const setup = h("details", {}, h("summary", {}, "Change the set-up"), h("div", { class: "lbg-controls" },
    ask("Small batch", "small", batches[0]), ask("Large batch", "large", batches[1]), ask("Learning rate", "rate", rates),
    tick("20 % of the labels wrong", "wrong", 0.2, 0), tick("batch norm", "norm", true, false)));
  view.controls.append(
    h("fieldset", {}, h("legend", {}, "Predict: which will read more new digits right?"), ...guesses.map(([input, text]) => named(input, text))),
    h("div", {}, go, halt, hint));
  const score = h("p", { class: "lbg-score", "aria-hidden": "true" });
  view.controls.after(setup, score, view.caption);
  const parts = [["race", "1. The race to one loss", "Loss over the training images against times through them, for small and large batch; the dotted line is the goal"],
    ["valley", "2. How steep are the walls?", "Highest loss in a box round each end against the box's size, to either side"],
    ["dots", "3. Pair after pair", "Test accuracy against sharpness, logarithmic: a mark for each end of a pair"]].map(([name, title, label]) => {
    const box = h("div", name === "valley" ? { class: "lbg-drag" } : {}, heading(title));
    view.plots.append(box);
    return { name, box, chart: new Chart(box, label) };
  });
  const [race, valley, dots] = parts;
  const slide = slider(view, "Size of the box ε");
  valley.box.append(view.foot);

  // ---- what happens
  const key = () => JSON.stringify(now), plain = () => key() === JSON.stringify(usual), pairs = () => results.get(key()) ?? [];
  const at = () => clamp(model.get("position"), epsilons.length + 1), epsilon = () => [0, ...epsilons][at()];
  function change(name, value) {
    if (phase === "running") return show();
    now = { ...now, [name]: value };
    (phase = "ready"), (arms = []), say("The set-up has changed: a pair of its own begins."), draw();
  }
  function end(next, text) {
    stops.forEach((stop) => stop());
    (stops = []), (phase = next), run++;
    if (text) say(text);
    draw();
  }
  async function start() {
    if (phase === "running" || guess < 0) return;
    const mine = ++run;
    (phase = "running"), (slow = false);
    arms = SIDES.map((side) => ({ side, batch: now[side], history: [], sharp: {} }));
    say(`Training two networks from one start, seed ${seed}.`), draw();
    try {
      unpacked ??= digits();
      const images = await unpacked;
      if (mine !== run) return;
      arms.forEach((arm) => {
        const setting = { ...now, seed, batch: arm.batch, hidden: meta.hidden, goal: meta.goal, epochs: meta.epochs };
        const first = epsilons[meta.first], order = [first, ...epsilons.filter((v) => v !== first)];
        stops.push(begin({ wasm: bytes(KERNELS), ...images, setting, epsilons: order }, (messages) => mine === run && messages.forEach((one) => hear(arm, one))));
      });
    } catch (error) {
      unpacked = undefined;
      if (mine === run) end("ready", `The digits could not be unpacked here (${error.message}): this laboratory needs a browser of 2023 or later.`);
    }
  }
  function hear(arm, message) {
    if (message.plain) slow = true;
    if ("loss" in message) {
      arm.began ??= performance.now();
      arm.history.push([message.epoch, message.loss]);
      if (message.end) {
        Object.assign(arm, { end: message.end, epochs: message.epoch, loss: message.loss, seconds: (performance.now() - arm.began) / 1000 });
        say(`The ${arm.side} batch ${{ reached: "has reached the line", diverged: "has diverged: its loss is no number any more", "given up": "has not reached the line" }[arm.end]} after ${human(arm.epochs, true)} times through the images.`);
      }
    }
    if ("accuracy" in message) arm.accuracy = message.accuracy;
    if ("sharpness" in message) arm.sharp[message.epsilon] = message.sharpness;
    if (message.over) arm.over = true;
    if (arms.every((one) => one.over)) {
      if (arms.every((one) => "accuracy" in one)) results.set(key(), [...pairs(), arms]);
      seed++;
      end("done", told());
    } else if (message.end !== "" || !still.matches) frame ||= requestAnimationFrame(() => ((frame = 0), draw()));
  }
  const say = (text) => (words = text);
  const points = (v) => `${human(+Math.abs(v).toPrecision(2))} ${Math.abs(v) === 1 ? "point" : "points"}`;
  function told() {
    const [small, large] = arms, failed = arms.find((one) => !("accuracy" in one));
    if (failed) return `The ${failed.side} batch diverged, so there is no pair to compare: try a smaller rate.`;
    const gap = small.accuracy - large.accuracy, won = gap > 0 ? 0 : gap < 0 ? 1 : 2, all = pairs(), gaps = all.map(([a, b]) => a.accuracy - b.accuracy), wins = gaps.filter((v) => v > 0).length;
    const arm = (one) => `${one.side} batch (${human(one.batch, true)}) reads ${one.accuracy.toFixed(1)} % of 4,000 new digits right`;
    let text = `The ${arm(small)}, the ${arm(large)}: ${won === 2 ? "no difference" : `the ${SIDES[won]} batch is ahead by ${points(gap)}`}, ${won === guess ? "as you predicted" : "not as you predicted"}. `;
    text += `At ε = ${human(epsilons[meta.first])} the large batch's end is ${human(large.sharp[epsilons[meta.first]] / small.sharp[epsilons[meta.first]])} times as sharp as the small batch's. `;
    if (arms.some((one) => one.end === "given up")) text += `Not both reached the line within ${human(meta.epochs, true)} times through the images, so they are not trained equally far. `;
    text += all.length === 1 ? "One pair proves little: press Again." : `Of your ${all.length} pairs the small batch is ahead in ${wins}; on average ${points(mean(gaps))} ${mean(gaps) < 0 ? "behind" : "ahead"}.`;
    return text + (slow ? " (This browser refuses WebAssembly, so it took a few times as long.)" : "");
  }

  // ---- what is drawn
  function show() {
    const running = phase === "running";
    guesses.forEach(([input], i) => ((input.disabled = running), (input.checked = guess === i)));
    asks.forEach(([input, set]) => ((input.disabled = running), set()));
    // aria-disabled and not disabled, so that whoever pressed it by keyboard stays where they are
    for (const [button, off] of [[go, running || guess < 0], [halt, !running]]) button.setAttribute("aria-disabled", off);
    go.textContent = pairs().length || phase === "done" ? "Again" : "Go";
    hint.textContent = guess < 0 ? "First predict." : "";
    if (view.caption.textContent !== words) view.caption.textContent = words;
    const known = arms.filter((one) => "accuracy" in one);
    score.replaceChildren(...known.map((one) => h("span", { class: "s" + SIDES.indexOf(one.side) }, `${capital(one.side)} batch: ${one.accuracy.toFixed(1)} %`)));
    score.hidden = !known.length;
    race.box.hidden = !arms.some((one) => one.history.length);
    valley.box.hidden = !arms.some((one) => Object.keys(one.sharp).length);
  }
  const hideHand = ({ chart }) => chart.hand.setAttribute("visibility", "hidden");
  function draw() {
    show();
    if (!width) return;
    if (arms.length) legend(view, [[0, "small batch"], [1, "large batch"]]);
    if (!race.box.hidden) {
      const most = Math.max(20, ...arms.flatMap((one) => one.history.slice(-1).map(([epoch]) => epoch * 1.05)));
      const lines = arms.map((one, style) => ({ style, x: column(one.history, 0), line: column(one.history, 1) }));
      race.chart.draw(width, 200, { x: { label: "Times through the 1,000 images", domain: [0, most] }, y: { label: "Loss f over the training images", log: true, domain: [meta.goal / 3, 6] }, series: [...lines, { style: 2, x: [0, most], line: [meta.goal, meta.goal] }] });
      hideHand(race);
    }
    if (!valley.box.hidden) walls();
    cloud();
  }
  // fmax of Metric 2.1 from the sharpness
  const height = (one, e) => (e ? one.loss + (one.sharp[e] * (1 + one.loss)) / 100 : one.loss);
  function walls() {
    const ends = arms.filter((one) => Object.keys(one.sharp).length), top = Math.max(...ends.flatMap((one) => epsilons.map((e) => height(one, e))).filter(isNumber)), far = epsilons.at(-1);
    const inside = [0, ...epsilons].filter((e) => e <= epsilon()), xs = [...inside.slice(1).reverse().map((e) => -e), ...inside];
    const series = ends.map((one) => ({ style: SIDES.indexOf(one.side), name: one.side + " ", x: xs, line: xs.map((x) => height(one, Math.abs(x))) }));
    valley.chart.draw(width, 220, { x: { label: "Size of the box ε, to either side", domain: [-far, far] }, y: { label: "Highest loss in the box", domain: [0, top * 1.05] }, series, guides: [-1, 1].map((side) => ({ x: side * epsilon() })) });
    valley.chart.mark(epsilon(), ends.map((one) => height(one, epsilon())));
    slide(at(), epsilons.length + 1, human(epsilon()));
  }
  function cloud() {
    const e = Math.max(1, at()) - 1, mine = pairs(), old = plain() ? stored : { small: [], large: [], small_sharpness: [], large_sharpness: [] };
    const series = SIDES.flatMap((side, style) => [
      { style, x: column(old[side + "_sharpness"], e), dots: [old[side]], kind: "hollow pale" },
      { style, x: mine.map((pair) => pair[style].sharp[epsilons[e]]), dots: [mine.map((pair) => pair[style].accuracy)], size: 4.5 },
    ]).filter((one) => one.x.length);
    dots.box.hidden = !mine.length; // the stored pairs would give the answer away
    if (!mine.length) return;
    for (const pair of mine) series.push({ style: 2, x: pair.map((one) => one.sharp[epsilons[e]]), line: pair.map((one) => one.accuracy) });
    const y = series.flatMap((one) => one.dots ?? []);
    dots.chart.draw(width, 230, { x: { log: true, label: `Sharpness at ε = ${human(epsilons[e])}`, domain: extent(series.map((one) => one.x), true) }, y: { label: "Test accuracy (%)", domain: extent(y) }, series });
    hideHand(dots);
    legend(view, [[0, "small batch"], [1, "large batch"], ...(plain() ? [[2, `hollow and pale: ${stored.small.length} pairs of the package`, true]] : [])]);
  }
  go.addEventListener("click", start);
  halt.addEventListener("click", () => phase === "running" && end("ready", "Stopped. Press Go to begin this pair anew."));
  const observer = new ResizeObserver(([entry]) => {
    const next = Math.floor(entry.contentRect.width);
    if (next && next !== width) (width = next), draw();
  });
  observer.observe(view.plots);
  const moved = () => {
    draw();
    const known = arms.filter((one) => isNumber(height(one, epsilon())));
    if (phase !== "running" && known.length) view.caption.textContent = words = `In a box of size ε = ${human(epsilon())} the loss rises ${known.map((one) => `from ${human(one.loss)} to ${human(height(one, epsilon()))} at the ${one.side} batch's end`).join(" and ")}.`;
  };
  const drag = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const middle = valley.chart.sx(0), px = event.clientX - valley.chart.svg.getBoundingClientRect().left;
    put(view, "position", nearest([0, ...epsilons].map(valley.chart.sx), middle + Math.abs(px - middle)));
  };
  for (const name of ["pointerdown", "pointermove"]) valley.chart.svg.addEventListener(name, drag);
  model.on("change:position", moved);
  say("Predict first. Then two networks train here, in this page: from one start, to one loss."), show();
  return () => (end("ready"), observer.disconnect(), model.off("change:position", moved));
}
export default { render };
