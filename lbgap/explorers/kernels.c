// The arithmetic of the live laboratory: one dense layer forwards and backwards, and a step of Adam, on float32.
// All else (the order of the batches, the loss, when to stop, sharpness) is JavaScript, in trainer.js, which also has these
// three in plain JavaScript for browsers that refuse WebAssembly. Rows are examples; w is (in, out); out is a multiple of 4.
//
// kernels.wasm is this page, compiled (pip install ziglang==0.17.1):
//   python -m ziglang cc --target=wasm32-freestanding -O3 -msimd128 -ffast-math -nostdlib -s -Wl,--no-entry \
//     -Wl,--import-memory -Wl,--export=forward -Wl,--export=backward -Wl,--export=adam kernels.c -o kernels.wasm
typedef float four __attribute__((vector_size(16)));
#define INLINE static inline __attribute__((always_inline))
#define MOST 256 // inputs of a layer
#define ROWS 32 // of a block in `backward`, so that its part of x and dy stays in the fastest cache

// out[0 .. 4 wide] += sum over the places k of x[k stride] a[k next ..]
INLINE void combine(const int wide, float *out, const float *x, int stride, const float *a, int next, const int *places, int count) {
  four sum[8];
  for (int j = 0; j < wide; j++) sum[j] = ((four *)out)[j];
  for (int p = 0; p < count; p++) {
    float value = x[places[p] * stride];
    const four *row = (const four *)(a + places[p] * next);
    for (int j = 0; j < wide; j++) sum[j] += value * row[j];
  }
  for (int j = 0; j < wide; j++) ((four *)out)[j] = sum[j];
}
// The same for all of out, over k < count. Most pixels are zero, and half of what a ReLU lets through: those are left out first.
INLINE void combine_all(float *out, int width, const float *x, int stride, const float *a, int next, int count) {
  int places[MOST], found = 0, o = 0;
  for (int k = 0; k < count; k++) {
    places[found] = k;
    found += x[k * stride] != 0;
  }
  for (; o + 32 <= width; o += 32) combine(8, out + o, x, stride, a + o, next, places, found);
  for (; o + 12 <= width; o += 12) combine(3, out + o, x, stride, a + o, next, places, found);
  for (; o < width; o += 4) combine(1, out + o, x, stride, a + o, next, places, found);
}

// y = x w + b
void forward(const float *x, const float *w, const float *b, float *y, int rows, int in, int out) {
  for (int i = 0; i < rows; i++, x += in, y += out) {
    for (int o = 0; o < out; o++) y[o] = b[o];
    combine_all(y, out, x, 1, w, out, in);
  }
}

// From dy: gw += x' dy, gb += sum dy, and, where dx is given, dx = dy w' where x > 0 (x being a ReLU's output), else 0.
void backward(const float *x, const float *w, const float *dy, float *gw, float *gb, float *dx, int rows, int in, int out) {
  for (int start = 0; start < rows; start += ROWS) {
    int count = rows - start < ROWS ? rows - start : ROWS;
    const float *xs = x + start * in, *dys = dy + start * out;
    for (int k = 0; k < in; k++) combine_all(gw + k * out, out, xs + k, in, dys, out, count);
    for (int i = 0; i < count; i++)
      for (int o = 0; o < out; o += 4) *(four *)(gb + o) += *(const four *)(dys + i * out + o);
  }
  if (dx)
    for (int i = 0; i < rows; i++, dy += out)
      for (int k = 0; k < in; k++, x++, dx++) {
        four sum = {0, 0, 0, 0};
        if (*x > 0)
          for (int o = 0; o < out; o += 4) sum += *(const four *)(dy + o) * *(const four *)(w + k * out + o);
        *dx = sum[0] + sum[1] + sum[2] + sum[3];
      }
}

// Adam (Kingma and Ba, 2015), betas 0.9 and 0.999, epsilon 1e-8. rate and root already hold the corrections of its bias.
void adam(float *x, const float *g, float *m, float *v, int count, float rate, float root) {
  for (int i = 0; i < count; i += 4) {
    four *p = (four *)(x + i), *first = (four *)(m + i), *second = (four *)(v + i), slope = *(const four *)(g + i);
    *first = 0.9f * *first + 0.1f * slope;
    *second = 0.999f * *second + 0.001f * slope * slope;
    *p -= rate * *first / (__builtin_elementwise_sqrt(*second) * root + 1e-8f);
  }
}
