// Random numbers by counting, so that any of them can be drawn alone: 32 bits for (seed, stream, i). oracle.py draws the same.
function draw(seed, stream, i) {
  const mix = (x) => {
    x = (x + 0x9e3779b9) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (x ^ (x >>> 15)) >>> 0;
  };
  return mix(i + mix(stream + mix(seed)));
}
