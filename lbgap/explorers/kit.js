// The chart kit of the explorers: SVG, native controls, no dependency. Each explorer's module is appended to it.
// A series has a style, 0, 1 or 2: this shape, and the colour and dashes of .s0, .s1, .s2 in kit.css.
const SHAPES = ["circle", "square", "diamond"];

// ---- elements
function fill(node, attributes = {}, children = []) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const fresh = () => "lbg-" + Math.random().toString(36).slice(2);

// ---- numbers; NaN is a missing one
const isNumber = Number.isFinite;
const mean = (v) => ((v = v.filter(isNumber)), v.length ? v.reduce((a, b) => a + b, 0) / v.length : NaN);
function deviation(v) {
  v = v.filter(isNumber);
  const m = mean(v);
  return v.length > 1 ? Math.sqrt(v.reduce((a, b) => a + (b - m) ** 2, 0) / (v.length - 1)) : NaN;
}
const column = (rows, i) => rows.map((row) => row[i]);
const means = (rows, n) => Array.from({ length: n }, (_, i) => mean(column(rows, i)));
const nearest = (list, x) => list.reduce((best, v, i) => (Math.abs(v - x) < Math.abs(list[best] - x) ? i : best), 0);
const clamp = (i, n) => Math.max(0, Math.min(n - 1, i));
const power = (e) => "10" + String(e).replace(/./g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));

// Three significant digits, thousands separators, powers of ten at the far ends; integers can be asked for in full.
function human(x, whole = false) {
  if (!isNumber(x)) return "not measured";
  const size = Math.abs(x);
  if (x && (size < 1e-4 * 0.9995 || size >= 1e6)) {
    const [m, e] = x.toExponential(2).split("e");
    return (+m === 1 ? "" : +m + " × ").replace("-", "−") + power(+e);
  }
  return x.toLocaleString("en-US", whole ? { maximumFractionDigits: 6 } : { maximumSignificantDigits: 3 }).replace("-", "−");
}
// "98.3 ± 0.12 %" of the trials in v
function spread(v, unit = "") {
  const d = deviation(v);
  return human(mean(v)) + (isNumber(d) ? " ± " + human(+d.toPrecision(2)) : "") + (isNumber(mean(v)) ? unit : "");
}
const count = (v) => v.filter(isNumber).length;
const trials = (n) => (n === 1 ? "1 trial" : `mean ± standard deviation of ${n} trials`);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// The float32 arrays of the model's `values`, by name: nested rows, in the shapes that `meta.arrays` tells.
function arrays(model) {
  const view = model.get("values");
  // a copy: offsets may be odd
  const flat = new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
  const nest = (start, [n, ...rest]) => {
    if (!rest.length) return Array.from(flat.subarray(start, start + n));
    const size = rest.reduce((a, b) => a * b, 1);
    return Array.from({ length: n }, (_, i) => nest(start + i * size, rest));
  };
  return Object.fromEntries(Object.entries(model.get("meta").arrays).map(([name, [start, ...shape]]) => [name, nest(start, shape)]));
}

// ---- axes
function extent(values, log) {
  values = values.flat(Infinity).filter((v) => isNumber(v) && (!log || v > 0));
  let lo = Math.min(...values), hi = Math.max(...values);
  if (!values.length) [lo, hi] = log ? [0.1, 1] : [0, 1];
  if (log) {
    const room = Math.max(1.3, (hi / lo) ** 0.07);
    return [lo / room, hi * room];
  }
  const room = (hi - lo || Math.abs(hi) || 1) * 0.07;
  return [lo - room, hi + room];
}
function scale({ log, domain: [lo, hi] }, from, to) {
  const f = log ? Math.log : (v) => v;
  return (v) => from + ((f(v) - f(lo)) / (f(hi) - f(lo))) * (to - from);
}
function ticks({ log, domain: [lo, hi] }, room) {
  const out = [];
  if (log) {
    const decades = Math.log10(hi / lo), step = Math.ceil(decades / room), fine = decades * 3 <= room && (lo > 5e-4 || decades < 2);
    for (let e = Math.floor(Math.log10(lo)); e <= Math.log10(hi); e++)
      for (const m of fine ? [1, 2, 5] : [1]) if (e % step === 0) out.push(+`${m}e${e}`);
  } else {
    const raw = (hi - lo) / room, unit = 10 ** Math.floor(Math.log10(raw)), step = unit * [1, 2, 5, 10].find((m) => m * unit >= raw * 0.999);
    for (let i = Math.floor(lo / step); i <= Math.ceil(hi / step); i++) out.push(+(i * step).toPrecision(10));
  }
  return out.filter((v) => v >= lo * (lo < 0 ? 1.000001 : 0.999999) && v <= hi * 1.000001);
}
// powers of ten all along an axis that needs them somewhere
function tickText(v, { log, domain: [lo, hi] }) {
  const e = Math.log10(v);
  return log && (lo < 5e-4 || hi > 2e5) && Math.abs(e - Math.round(e)) < 1e-9 && e && e !== 1 ? power(Math.round(e)) : human(v, true);
}

// ---- marks
function shape(style, x, y, r) {
  if (SHAPES[style] === "square") return `M${x - r * 0.9} ${y - r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}z`;
  if (SHAPES[style] === "diamond") return `M${x} ${y - r * 1.3}l${r * 1.3} ${r * 1.3}l${-r * 1.3} ${r * 1.3}l${-r * 1.3} ${-r * 1.3}z`;
  return `M${x - r} ${y}a${r} ${r} 0 1 0 ${r * 2} 0a${r} ${r} 0 1 0 ${-r * 2} 0z`;
}
function trace(points) {
  let d = "", pen = false;
  for (const [x, y] of points) {
    d += isNumber(y) ? `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}${pen ? "" : "h.01"}` : "";
    pen = isNumber(y);
  }
  return d;
}

// One chart. draw() makes axes and series; mark() moves the hand to the slider's position and writes the values there.
// x, y: {label, log, domain, unit, named: [place, name] of x's ticks}; series: [{style, name, x, line, dots: [trial][i], faint: [trial][i], kind: of its dots, size}]; guides: [{x, text}]
class Chart {
  constructor(parent, label) {
    this.svg = s("svg", { role: "img", "aria-label": label });
    parent.append(this.svg);
  }
  draw(width, height, { x, y, series, guides = [] }) {
    const left = 54, right = width - 14, top = guides[0]?.text ? 42 : 26, bottom = height - (x.label ? 40 : 22);
    const values = series.map((one) => [one.line ?? [], one.dots ?? [], one.faint ?? []]).flat(Infinity);
    const floor = y.log && values.some((v) => v <= 0);
    const sx = scale(x, left + 8, right - 8), up = scale(y, bottom - (floor ? 20 : 0), top);
    const sy = (v) => (y.log && v <= 0 ? bottom : up(v));
    // breaks where the axis has no place for v
    const line = (row, at) => trace(row.map((v, i) => [sx(at[i]), up(v)]));
    Object.assign(this, { sx, sy, left, right, top, bottom, y, series });
    const back = s("g"), text = s("g"), marks = s("g");
    const rule = (name, x1, y1, x2, y2) => back.append(s("line", { class: name, x1, y1, x2, y2 }));
    const write = (value, x, y, anchor = "middle", name = "soft") => text.append(s("text", { x, y, "text-anchor": anchor, class: name }, value));
    write(y.label, 2, 15, "start", "name");
    for (const v of ticks(y, (bottom - top) / 24)) {
      rule("grid", left, sy(v), right, sy(v));
      write(tickText(v, y), left - 6, sy(v) + 4, "end");
    }
    for (const [v, name] of x.named ?? ticks(x, (right - left) / 62).map((v) => [v, tickText(v, x)])) {
      rule("axis", sx(v), bottom, sx(v), bottom + 4);
      write(name, Math.min(sx(v), width - 3.4 * name.length), bottom + 17);
    }
    rule(floor ? "floor" : "axis", left, bottom, right, bottom);
    if (floor) write("≤ 0", left - 6, bottom + 4, "end");
    if (x.label) write(x.label, right, bottom + 34, "end", "name");
    for (const guide of guides) {
      rule("guide", sx(guide.x), top, sx(guide.x), bottom);
      if (guide.text) write(guide.text, sx(guide.x), top - 5, guide.anchor);
    }
    for (const one of series) {
      const add = (name, d) => marks.append(s("path", { class: `${name} s${one.style}`, d }));
      for (const row of one.faint ?? []) add("faint", line(row, one.x));
      const n = one.dots?.length, step = Math.min(3.5, 14 / n);
      const dot = (v, i, t) => (isNumber(v) ? shape(one.style, sx(one.x[i]) + (t - (n - 1) / 2) * step, sy(v), one.size ?? 2.6) : "");
      if (n) add(one.kind ?? "dots", one.dots.map((row, t) => row.map((v, i) => dot(v, i, t)).join("")).join(""));
      if (one.line) add("line", line(one.line, one.x));
    }
    this.hand = s("line", { class: "hand", y1: top, y2: bottom });
    this.reads = series.map((one) => [s("path", { class: "mark s" + one.style }), s("text", { class: "read" })]);
    fill(this.svg, { width, height });
    this.svg.replaceChildren(back, marks, this.hand, text, ...this.reads.flat());
  }
  // readings: one number for each series, NaN where there is none
  mark(at, readings) {
    const px = this.sx(at), flip = px > (this.left + this.right) / 2;
    fill(this.hand, { x1: px, x2: px });
    let last = -Infinity;
    const order = readings.map((v, i) => [this.sy(v), i]).sort((a, b) => a[0] - b[0]);
    const above = order.filter(([py]) => isNumber(py)).length * 15;
    for (const [py, i] of order) {
      const [mark, text] = this.reads[i], { style, name = "" } = this.series[i], there = isNumber(py);
      fill(mark, { d: there ? shape(style, px, py, 5) : "" });
      text.textContent = there ? name + human(readings[i]) + (this.y.unit ?? "") : "";
      if (!there) continue;
      last = Math.max(last + 15, Math.min(py - 6, this.bottom - above + 10), this.top + 10);
      fill(text, { x: px + (flip ? -9 : 9), y: last, "text-anchor": flip ? "end" : "start" });
    }
  }
}

// ---- the page: title, choices, legend, charts, slider, caption
function page(el, model, title) {
  const part = (name, tag = "div") => h(tag, { class: "lbg-" + name });
  const view = { controls: part("controls"), legend: part("legend", "ul"), plots: part("plots"), foot: part("slider"), caption: part("caption", "p") };
  view.caption.setAttribute("aria-live", "polite");
  const root = h("div", { class: "lbg" }, ...(title ? [h("p", { class: "lbg-title" }, title)] : []), ...Object.values(view));
  // a notebook would take an arrow for a step to the next cell, and a letter for a command
  root.addEventListener("keydown", (e) => e.ctrlKey || e.metaKey || e.stopPropagation());
  el.append(root);
  return { model, ...view };
}
function put({ model }, key, value) {
  if (model.get(key) === value) return;
  model.set(key, value);
  model.save_changes();
}
function legend(view, items) {
  view.legend.replaceChildren(...items.map(([style, name, hollow]) => {
    const swatch = s("svg", { width: 34, height: 14, "aria-hidden": "true" });
    if (!hollow) swatch.append(s("path", { class: "line s" + style, d: "M1 7H33" }));
    swatch.append(s("path", { class: (hollow ? "hollow s" : "dots s") + style, d: shape(style, 17, 7, 4) }));
    return h("li", {}, swatch, name);
  }));
}
// A slider over the places of a list, of the model's `key`; returns the function that shows one of them.
function slider(view, label, key = "position") {
  const id = fresh(), input = h("input", { type: "range", id, min: 0, step: 1 }), value = h("span", { "aria-hidden": "true" });
  view.foot.append(h("label", { for: id }, label), value, input);
  input.addEventListener("input", () => put(view, key, +input.value));
  return (i, n, text) => {
    fill(input, { max: n - 1, "aria-valuetext": text });
    input.value = i;
    value.textContent = text;
  };
}
// Radio buttons for up to three options, else a list; returns the function that shows the chosen one.
function choice(view, key, label, options, list = options.length > 3) {
  const id = fresh();
  if (list) {
    const select = h("select", { id });
    view.controls.append(h("div", {}, h("label", { for: id }, label), select));
    select.addEventListener("change", () => put(view, key, select.selectedIndex));
    return (i, now = options) => {
      if (select.options.length !== now.length) select.replaceChildren(...now.map((name) => h("option", {}, name)));
      select.selectedIndex = i;
    };
  }
  if (options.length < 2) return () => {};
  const radios = options.map(() => h("input", { type: "radio", name: id }));
  view.controls.append(h("fieldset", {}, h("legend", {}, label), ...options.map((name, i) => h("label", {}, radios[i], name))));
  radios.forEach((radio, i) => radio.addEventListener("change", () => put(view, key, i)));
  return (i) => void (radios[i].checked = true);
}
// draw(width) makes everything anew, when the width or one of `keys` changes; update() follows the slider alone.
function run(view, keys, draw, update, xs, charts) {
  let width = 0;
  const { model, plots } = view;
  function whole() {
    if (width) {
      draw(width);
      update();
    }
  }
  const observer = new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width) return;
    width = now;
    whole();
  });
  observer.observe(plots);
  const events = [["change:position", () => width && update()], ...keys.map((key) => ["change:" + key, whole])];
  for (const [name, f] of events) model.on(name, f);
  const point = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    put(view, "position", nearest(xs().map(charts[0].sx), event.clientX - plots.getBoundingClientRect().left));
  };
  plots.addEventListener("pointerdown", point);
  plots.addEventListener("pointermove", point);
  return () => {
    observer.disconnect();
    for (const [name, f] of events) model.off(name, f);
  };
}
