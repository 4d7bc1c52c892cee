// Balls in a landscape with a wide and a narrow valley: each step goes down the slope, and is shaken the more, the smaller the batch.
function render({ model, el }) {
  const { title, valleys, batches, rate, noise, steps, range, border, seed: first } = model.get("meta"), view = page(el, model, title), n = batches.length;
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const hump = ([at, width], x) => Math.exp(-((x - at) ** 2) / (2 * width * width));
  const f = (x) => 1 - valleys.reduce((sum, v) => sum + hump(v, x), 0), slope = (x) => valleys.reduce((sum, v) => sum + (hump(v, x) * (x - v[0])) / v[1] ** 2, 0);
  const uniform = (seed, ball, i) => draw(seed, ball, i) / 2 ** 32;
  let width = 0, balls = [], step = 0, rolling = false, seed = first, frame = 0;

  const go = h("button", { type: "button", class: "lbg-go" }), again = h("button", { type: "button" }, "Begin anew"), tally = h("span", { "aria-hidden": "true" });
  const showCount = choice(view, "balls", "Balls", ["100", "1"]), showStart = choice(view, "start", "They start", ["together", "anywhere"]);
  view.controls.append(h("div", {}, go, again, tally));
  const show = slider(view, "Batch size"), showPlace = slider(view, "Where they start together", "place");
  const chart = new Chart(view.plots, "A loss curve with a wide valley at left and a narrow one at right, and the balls on it");
  const xs = Array.from({ length: 301 }, (_, i) => range[0] + ((range[1] - range[0]) * i) / 300), places = Array.from({ length: Math.round((range[1] - range[0]) * 10) + 1 }, (_, i) => Math.round(range[0] * 10 + i) / 10);
  const batch = () => batches[clamp(model.get("position"), n)], together = () => places[clamp(model.get("place"), places.length)];

  function place() {
    step = 0;
    balls = Array.from({ length: model.get("balls") ? 1 : 100 }, (_, k) => (model.get("start") ? range[0] + (range[1] - range[0]) * uniform(seed, k, 0) : together()));
  }
  const shaking = () => noise * Math.sqrt(12 / batch()); // a uniform number has a variance of 1/12
  function move() {
    step++;
    const shake = shaking();
    balls = balls.map((x, k) => Math.max(range[0], Math.min(range[1], x - rate * (slope(x) + shake * (uniform(seed, k, step) - 0.5)))));
  }
  const wide = () => balls.filter((x) => x < border).length;
  const where = () => (balls.length === 1 ? `the ball is in the ${wide() ? "wide" : "narrow"} valley` : `${wide()} of ${balls.length} balls are in the wide valley, ${balls.length - wide()} in the narrow one`);
  function say() {
    const told = step === steps ? "In the end" : step ? `After ${human(step, true)} of ${human(steps, true)} steps` : "At the start";
    view.caption.textContent = `${told}, at batch ${human(batch(), true)}, ${where()}.`;
  }
  function draw_all() {
    if (!width) return;
    const name = human(batch(), true), reach = (rate * shaking()) / 2;
    legend(view, [[0, "balls"], [1, "how far one shake can reach, to either side"]]);
    showCount(model.get("balls")), showStart(model.get("start")), show(clamp(model.get("position"), n), n, name), showPlace(clamp(model.get("place"), places.length), places.length, human(together()));
    go.textContent = rolling ? "Pause" : step === steps ? "Roll again" : step ? "Go on" : "Roll";
    tally.textContent = `step ${human(step, true)}: ${wide()} in the wide valley, ${balls.length - wide()} in the narrow one`;
    chart.draw(width, 260, { x: { label: "A parameter", domain: range }, y: { label: "Loss", domain: [-0.1, 1.15] }, series: [{ style: 2, x: xs, line: xs.map(f) }, { style: 1, x: [together() - reach, Math.min(together() + reach, range[1])], line: [-0.07, -0.07] }, { style: 0, x: balls, dots: [balls.map(f)] }], guides: valleys.map(([x], i) => ({ x, text: ["wide", "narrow"][i] })) });
    chart.hand.setAttribute("visibility", "hidden");
  }
  function roll() {
    frame = 0;
    for (let k = 0; k < 10 && step < steps; k++) move();
    if (step === steps) rolling = false;
    if (rolling) frame = requestAnimationFrame(roll);
    if (!rolling || step % 500 === 0) say();
    draw_all();
  }
  function pause() {
    cancelAnimationFrame(frame);
    (rolling = false), (frame = 0);
  }
  function anew() {
    pause(), place(), draw_all(), say();
  }
  go.addEventListener("click", () => {
    if (rolling) return pause(), draw_all(), say();
    if (step === steps) seed++, place();
    if (still.matches) {
      while (step < steps) move();
      return draw_all(), say();
    }
    (rolling = true), say(), roll();
  });
  again.addEventListener("click", () => (seed++, anew()));
  const observer = new ResizeObserver(([entry]) => {
    const next = Math.floor(entry.contentRect.width);
    if (next && next !== width) (width = next), draw_all();
  });
  observer.observe(view.plots);
  const drag = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    put(view, "place", nearest(places.map(chart.sx), event.clientX - view.plots.getBoundingClientRect().left));
  };
  for (const name of ["pointerdown", "pointermove"]) view.plots.addEventListener(name, drag);
  // another batch while they roll only changes how they are shaken
  const events = [["change:balls", anew], ["change:start", anew], ["change:place", () => (put(view, "start", 0), anew())], ["change:position", () => (draw_all(), rolling || say())]];
  for (const [name, act] of events) model.on(name, act);
  place(), say();
  return () => (pause(), observer.disconnect(), events.forEach(([name, act]) => model.off(name, act)));
}
export default { render };
