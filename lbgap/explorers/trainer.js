// What trains in the page: a network of 196-hidden-hidden-10, Adam, the stop by f, and Metric 2.1. It knows nothing of the page:
// its text also becomes a web worker. oracle.py is the same in PyTorch, and the tests hold them together.
// wasm: the bytes of kernels.wasm, or null for plain JavaScript. pixels: Uint8Array, 196 an image, 0 to 15. labels: Uint8Array.
function trainer(wasm, pixels, labels) {
  const PIXELS = 196, CLASSES = 10, TRAIN = 1000, TEST = labels.length - TRAIN, START = 1, LABELS = 2, ORDER = 3;
  const memory = wasm ? new WebAssembly.Memory({ initial: 320 }) : { buffer: new ArrayBuffer(320 << 16) };
  const kernels = wasm ? new WebAssembly.Instance(new WebAssembly.Module(wasm), { env: { memory } }).exports : plain(new Float64Array(memory.buffer));
  let end = 1 << 16; // below lies the C stack, of the size that kernels.c is compiled with
  const numbers = (count) => {
    const view = new Float64Array(memory.buffer, end, count);
    end += Math.ceil(count / 2) * 16;
    return view;
  };
  const images = numbers(pixels.length);
  images.forEach((_, i) => (images[i] = pixels[i] / 15));
  const here = end; // the network of each run lies from here on

  // A network at its start x0: all parameters in one array x, their gradient in g.
  function build({ seed, hidden, norm }) {
    end = here;
    const sizes = [PIXELS, hidden, hidden, CLASSES], layers = [];
    let n = 0;
    const part = (size) => [n, (n += size)];
    for (let l = 0; l < 3; l++) {
      const [from, to] = [sizes[l], Math.ceil(sizes[l + 1] / 4) * 4], normed = norm && l < 2;
      layers.push({ from, to, w: part(from * to), b: part(to), ...(normed ? { gamma: part(to), beta: part(to) } : {}) });
    }
    // without what fills up
    const count = layers.reduce((sum, { from, gamma }, l) => sum + sizes[l + 1] * (from + 1 + (gamma ? 2 : 0)), 0);
    const net = { layers, n, count, x: numbers(n), g: numbers(n), m: numbers(n), v: numbers(n), steps: 0, batch: numbers(TRAIN * PIXELS) };
    for (const key of ["x", "g", "m", "v"]) net[key].fill(0);
    let drawn = 0;
    layers.forEach((layer, l) => {
      for (const key of ["w", "b", "gamma", "beta"].filter((name) => layer[name])) {
        layer["d_" + key] = net.g.subarray(...layer[key]);
        layer[key] = net.x.subarray(...layer[key]);
      }
      const limit = Math.sqrt(6 / (sizes[l] + sizes[l + 1])); // Glorot's uniform
      for (let k = 0; k < layer.from; k++)
        for (let o = 0; o < sizes[l + 1]; o++) layer.w[k * layer.to + o] = ((2 * draw(seed, START, drawn++)) / 2 ** 32 - 1) * limit;
      layer.y = numbers(TRAIN * layer.to);
      layer.dy = numbers(TRAIN * layer.to);
      if (!layer.gamma) return;
      Object.assign(layer, { hat: numbers(TRAIN * layer.to), mean: new Float64Array(layer.to), deviation: new Float64Array(layer.to) });
      layer.gamma.fill(1);
    });
    return net;
  }

  // Batch norm of the rows of layer.y, by their own mean and deviation, or by those kept from the last time.
  function normalise({ y, hat, mean, deviation, gamma, beta, to }, rows, kept) {
    for (let o = 0; o < to; o++) {
      if (!kept) {
        let sum = 0, squares = 0;
        for (let i = o; i < rows * to; i += to) sum += y[i];
        mean[o] = sum / rows;
        for (let i = o; i < rows * to; i += to) squares += (y[i] - mean[o]) ** 2;
        deviation[o] = Math.sqrt(squares / rows + 1e-5);
      }
      for (let i = o; i < rows * to; i += to) {
        hat[i] = (y[i] - mean[o]) / deviation[o];
        y[i] = hat[i] * gamma[o] + beta[o];
      }
    }
  }
  function normalise_back({ dy, hat, deviation, gamma, d_gamma, d_beta, to }, rows) {
    for (let o = 0; o < to; o++) {
      let sum = 0, along = 0;
      for (let i = o; i < rows * to; i += to) (sum += dy[i]), (along += dy[i] * hat[i]);
      d_beta[o] += sum;
      d_gamma[o] += along;
      for (let i = o; i < rows * to; i += to) dy[i] = (gamma[o] / deviation[o]) * (dy[i] - sum / rows - (hat[i] * along) / rows);
    }
  }

  // The mean cross-entropy of `rows` images and how many are right; with `slope` also its gradient, in net.g.
  function pass(net, inputs, wanted, rows, slope, kept) {
    const { layers } = net, at = (view) => (view ? view.byteOffset : 0);
    let x = inputs;
    layers.forEach((layer, l) => {
      kernels.forward(at(x), at(layer.w), at(layer.b), at(layer.y), rows, layer.from, layer.to);
      if (layer.gamma) normalise(layer, rows, kept);
      if (l < 2) for (let i = 0, { y } = layer; i < rows * layer.to; i++) if (y[i] < 0) y[i] = 0;
      x = layer.y;
    });
    const { y, dy, to } = layers[2];
    let loss = 0, hits = 0;
    for (let i = 0; i < rows; i++) {
      const row = i * to;
      let best = 0, sum = 0;
      for (let o = 1; o < CLASSES; o++) if (y[row + o] > y[row + best]) best = o;
      for (let o = 0; o < CLASSES; o++) sum += Math.exp(y[row + o] - y[row + best]);
      loss += Math.log(sum) + y[row + best] - y[row + wanted[i]];
      hits += best === wanted[i];
      if (slope) for (let o = 0; o < CLASSES; o++) dy[row + o] = (Math.exp(y[row + o] - y[row + best]) / sum - (o === wanted[i])) / rows;
    }
    if (slope) {
      net.g.fill(0);
      for (let l = 2; l >= 0; l--) {
        const layer = layers[l], before = layers[l - 1];
        if (layer.gamma) normalise_back(layer, rows);
        kernels.backward(at(before ? before.y : inputs), at(layer.w), at(layer.dy), at(layer.d_w), at(layer.d_b), at(before?.dy), rows, layer.from, layer.to);
      }
    }
    return { loss: loss / rows, hits };
  }

  function step(net, rate) {
    const t = ++net.steps;
    kernels.adam(net.x.byteOffset, net.g.byteOffset, net.m.byteOffset, net.v.byteOffset, net.n, rate / (1 - 0.9 ** t), 1 / Math.sqrt(1 - 0.999 ** t));
  }

  // The training labels; a share of them is another digit, drawn at random.
  function answers({ seed, wrong }) {
    return labels.slice(0, TRAIN).map((y, i) => (draw(seed, LABELS, i) < wrong * 2 ** 32 ? (y + 1 + (draw(seed, LABELS, TRAIN + i) % 9)) % 10 : y));
  }

  // Trains until f is below `goal` (three times running with batch norm, where f jumps); yields f after every epoch.
  function* train(net, wanted, { seed, batch, rate, goal, epochs, norm }) {
    const order = new Float64Array(TRAIN), chosen = new Uint8Array(batch), whole = batch >= TRAIN;
    for (let epoch = 0, below = 0; ; epoch++) {
      const f = pass(net, images, wanted, TRAIN, whole).loss;
      below = f < goal ? below + 1 : 0;
      const end = below === (norm ? 3 : 1) ? "reached" : !Number.isFinite(f) ? "diverged" : epoch === epochs ? "given up" : "";
      yield { epoch, loss: f, end };
      if (end) return;
      if (whole) step(net, rate);
      else {
        for (let i = 0; i < TRAIN; i++) order[i] = draw(seed, ORDER + epoch, i) * TRAIN + i; // shuffled: sorted by a random number
        order.sort();
        for (let start = 0; start < TRAIN; start += batch) {
          const rows = Math.min(batch, TRAIN - start);
          for (let i = 0; i < rows; i++) {
            const k = order[start + i] % TRAIN;
            net.batch.set(images.subarray(k * PIXELS, (k + 1) * PIXELS), i * PIXELS);
            chosen[i] = wanted[k];
          }
          pass(net, net.batch, chosen, rows, true);
          step(net, rate);
        }
      }
    }
  }

  // Test accuracy in percent; batch norm with the mean and the deviation of the training set.
  function accuracy(net, wanted) {
    let hits = 0;
    pass(net, images, wanted, TRAIN, false);
    for (let start = TRAIN; start < TRAIN + TEST; start += TRAIN) {
      const rows = Math.min(TRAIN, TRAIN + TEST - start);
      hits += pass(net, images.subarray(start * PIXELS), labels.subarray(start), rows, false, true).hits;
    }
    return (100 * hits) / TEST;
  }

  // Metric 2.1 at x: 100 (max f - f) / (1 + f) over |delta_i| <= epsilon (|x_i| + 1), by the steps of `best` in lbgap's
  // metric.py, which says why each; only its random start is left out. u is a place in the box, each coordinate in [-1, 1].
  function sharpness(net, wanted, epsilon) {
    const x0 = net.x.slice(), half = x0.map((v) => epsilon * (Math.abs(v) + 1));
    let looks = 0;
    const look = (u, wide) => {
      looks++;
      for (let i = 0; i < net.n; i++) net.x[i] = x0[i] + wide * half[i] * u[i];
      const value = pass(net, images, wanted, TRAIN, true).loss;
      return { u, value, g: net.g.map((g, i) => g * wide * half[i]) };
    };
    const inside = (v) => Math.max(-1, Math.min(1, v)), sign = (v) => (v < 0 ? -1 : 1);
    const mean = (g) => g.reduce((sum, v) => sum + Math.abs(v), 0) / net.count;
    const corner = ({ at: { u, g } }) => g.map((v, i) => Math.sign(v) || u[i]);
    const slope = ({ at: { u, g } }, size = mean(g)) =>
      size > 0 ? u.map((v, i) => inside(v + (0.25 * g[i]) / size)) : u;
    const secant = ({ at: { u, g }, other }) =>
      u.map((v, i) => {
        const apart = v - other.u[i], h = apart ? (g[i] - other.g[i]) / apart : 0;
        return h < 0 ? inside(v - g[i] / h) : g[i] === 0 && h === 0 ? v : sign(g[i] - h * v);
      });
    const centre = look(new Float64Array(net.n), 1);
    const go = (ascent, u) => {
      if (u.every((v, i) => v === ascent.at.u[i])) return false;
      const found = look(u, ascent.wide), higher = found.value > ascent.at.value;
      ascent.other = higher ? ascent.at : found;
      if (higher) ascent.at = found;
      return higher;
    };
    const begin = (u, wide = 1) => {
      const from = { ...centre, g: centre.g.map((v) => wide * v) };
      const ascent = { at: from, other: from, wide, over: false };
      go(ascent, u);
      return ascent;
    };
    const climb = (ascent, most) => {
      for (const end = looks + most; !ascent.over; ) {
        const before = ascent.at.value;
        for (const propose of [corner, secant, slope]) {
          if (looks >= end) return ascent;
          if (go(ascent, propose(ascent))) break;
        }
        ascent.over = ascent.at.value - before <= 3e-4 * (before - centre.value);
      }
      return ascent;
    };
    const first = centre.g.map(sign), largest = centre.g.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    const starts = [centre.g.map((v) => v / (largest || 1)), first, climb(begin(first, 3), 5).at.u];
    const best = starts.map((u) => climb(begin(u), 5)).reduce((a, b) => (b.at.value > a.at.value ? b : a));
    const highest = climb(best, 20).at.value;
    net.x.set(x0);
    return (100 * (highest - centre.value)) / (1 + centre.value);
  }

  // One arm from start to end, message by message.
  function* work(setting, epsilons) {
    const net = build(setting), wanted = answers(setting);
    let last;
    for (last of train(net, wanted, setting)) yield last;
    if (last.end === "diverged") return;
    yield { accuracy: accuracy(net, wanted) };
    for (const epsilon of epsilons) yield { epsilon, sharpness: sharpness(net, wanted, epsilon) };
  }

  // kernels.c once more, on the same memory; places come in bytes.
  function plain(at) {
    return {
      forward(x, w, b, y, rows, from, to) {
        (x /= 8), (w /= 8), (b /= 8), (y /= 8);
        for (let i = 0; i < rows; i++, x += from, y += to) {
          for (let o = 0; o < to; o++) at[y + o] = at[b + o];
          for (let k = 0; k < from; k++) {
            const v = at[x + k], row = w + k * to;
            if (v !== 0) for (let o = 0; o < to; o++) at[y + o] += v * at[row + o];
          }
        }
      },
      backward(x, w, dy, gw, gb, dx, rows, from, to) {
        (x /= 8), (w /= 8), (dy /= 8), (gw /= 8), (gb /= 8), (dx /= 8);
        for (let i = 0; i < rows; i++, x += from, dy += to) {
          for (let o = 0; o < to; o++) at[gb + o] += at[dy + o];
          for (let k = 0; k < from; k++) {
            const v = at[x + k], row = k * to;
            let sum = 0;
            if (v !== 0)
              for (let o = 0; o < to; o++) {
                at[gw + row + o] += v * at[dy + o];
                sum += at[dy + o] * at[w + row + o];
              }
            if (dx) at[dx + i * from + k] = v > 0 ? sum : 0;
          }
        }
      },
      adam(x, g, m, v, count, rate, root) {
        (x /= 8), (g /= 8), (m /= 8), (v /= 8);
        for (let i = 0; i < count; i++) {
          const slope = at[g + i];
          at[m + i] = 0.9 * at[m + i] + 0.1 * slope;
          at[v + i] = 0.999 * at[v + i] + 0.001 * slope * slope;
          at[x + i] -= (rate * at[m + i]) / (Math.sqrt(at[v + i]) * root + 1e-8);
        }
      },
    };
  }
  return { build, answers, train, accuracy, sharpness, work, pass, images };
}
