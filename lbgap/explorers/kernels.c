// The arithmetic of the live laboratory: one dense layer forwards and backwards, and a step of Adam, on float64,
// so that what trains in the page and what PyTorch trains end alike: in float32 rounding parts them in some thousand steps.
// All else (the order of the batches, the loss, when to stop, sharpness) is JavaScript, in trainer.js, which also has these
// three in plain JavaScript for browsers that refuse WebAssembly. Rows are examples; w is (in, out); out is a multiple of 4.
//
// kernels.wasm is this page, compiled (pip install ziglang==0.17.1):
//   python -m ziglang cc --target=wasm32-freestanding -O3 -msimd128 -ffast-math -nostdlib -s -Wl,--no-entry \
//     -Wl,-z,stack-size=65536 -Wl,--import-memory -Wl,--export=forward -Wl,--export=backward \
//     -Wl,--export=adam kernels.c -o kernels.wasm
typedef double two __attribute__((vector_size(16)));
#define INLINE static inline __attribute__((always_inline))
#define MOST 256 // inputs of a layer
#define ROWS 32 // of a block in `backward`, so that its part of x and dy stays in the fastest cache

// out[0 .. 2 wide] += sum over the places k of x[k stride] a[k next ..]
INLINE void combine(const int wide, double *out, const double *x, int stride, const double *a, int next, const int *places, int count) {
  two sum[8];
  for (int j = 0; j < wide; j++) sum[j] = ((two *)out)[j];
  for (int p = 0; p < count; p++) {
    double value = x[places[p] * stride];
    const two *row = (const two *)(a + places[p] * next);
    for (int j = 0; j < wide; j++) sum[j] += value * row[j];
  }
  for (int j = 0; j < wide; j++) ((two *)out)[j] = sum[j];
}
// The same for all of out, over k < count. Most pixels are zero, and half of what a ReLU lets through: those are left out first.
INLINE void combine_all(double *out, int width, const double *x, int stride, const double *a, int next, int count) {
  int places[MOST], found = 0, o = 0;
  for (int k = 0; k < count; k++) {
    places[found] = k;
    found += x[k * stride] != 0;
  }
  for (; o + 16 <= width; o += 16) combine(8, out + o, x, stride, a + o, next, places, found);
  for (; o + 12 <= width; o += 12) combine(6, out + o, x, stride, a + o, next, places, found);
  for (; o < width; o += 4) combine(2, out + o, x, stride, a + o, next, places, found);
}

// y = x w + b
void forward(const double *x, const double *w, const double *b, double *y, int rows, int in, int out) {
  for (int i = 0; i < rows; i++, x += in, y += out) {
    for (int o = 0; o < out; o++) y[o] = b[o];
    combine_all(y, out, x, 1, w, out, in);
  }
}

// From dy: gw += x' dy, gb += sum dy, and, where dx is given, dx = dy w' where x > 0 (x being a ReLU's output), else 0.
void backward(const double *x, const double *w, const double *dy, double *gw, double *gb, double *dx, int rows, int in, int out) {
  for (int start = 0; start < rows; start += ROWS) {
    int count = rows - start < ROWS ? rows - start : ROWS;
    const double *xs = x + start * in, *dys = dy + start * out;
    for (int k = 0; k < in; k++) combine_all(gw + k * out, out, xs + k, in, dys, out, count);
    for (int i = 0; i < count; i++)
      for (int o = 0; o < out; o += 2) *(two *)(gb + o) += *(const two *)(dys + i * out + o);
  }
  if (dx)
    for (int i = 0; i < rows; i++, dy += out)
      for (int k = 0; k < in; k++, x++, dx++) {
        two sum = {0, 0};
        if (*x > 0)
          for (int o = 0; o < out; o += 2) sum += *(const two *)(dy + o) * *(const two *)(w + k * out + o);
        *dx = sum[0] + sum[1];
      }
}

// Adam (Kingma and Ba, 2015), betas 0.9 and 0.999, epsilon 1e-8. rate and root already hold the corrections of its bias.
void adam(double *x, const double *g, double *m, double *v, int count, double rate, double root) {
  for (int i = 0; i < count; i += 2) {
    two *p = (two *)(x + i), *first = (two *)(m + i), *second = (two *)(v + i), slope = *(const two *)(g + i);
    *first = 0.9 * *first + 0.1 * slope;
    *second = 0.999 * *second + 0.001 * slope * slope;
    *p -= rate * *first / (__builtin_elementwise_sqrt(*second) * root + 1e-8);
  }
}
