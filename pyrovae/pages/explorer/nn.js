"use strict";
// Runs the programs that steps.py writes. A tensor is a Float32Array; all shapes are known when a program is built.

function erf(x) { // Abramowitz & Stegun (1964), 7.1.26: its error is at most 1.5e-7
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

function evenRound(x) { // rounds a half to the even number, as torch does
  const low = Math.floor(x), rest = x - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

// Functions of single numbers, by ATen's names.
const EACH = {
  neg: a => -a, abs: Math.abs, sign: Math.sign, exp: Math.exp, exp2: a => 2 ** a, expm1: Math.expm1,
  log: Math.log, log1p: Math.log1p, log2: Math.log2, log10: Math.log10, sqrt: Math.sqrt, rsqrt: a => 1 / Math.sqrt(a),
  reciprocal: a => 1 / a, sin: Math.sin, cos: Math.cos, tan: Math.tan, asin: Math.asin, acos: Math.acos,
  atan: Math.atan, sinh: Math.sinh, cosh: Math.cosh, tanh: Math.tanh, asinh: Math.asinh, acosh: Math.acosh,
  atanh: Math.atanh, sigmoid: a => 1 / (1 + Math.exp(-a)), relu: a => a < 0 ? 0 : a, erf,
  floor: Math.floor, ceil: Math.ceil, round: evenRound, trunc: Math.trunc,
  isnan: a => a !== a ? 1 : 0, isinf: a => Math.abs(a) === Infinity ? 1 : 0,
  add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => a / b,
  maximum: Math.max, minimum: Math.min, pow: Math.pow, fmod: (a, b) => a % b,
  remainder: (a, b) => a - b * Math.floor(a / b), atan2: Math.atan2, hypot: Math.hypot,
  eq: (a, b) => a === b ? 1 : 0, ne: (a, b) => a !== b ? 1 : 0, lt: (a, b) => a < b ? 1 : 0,
  le: (a, b) => a <= b ? 1 : 0, gt: (a, b) => a > b ? 1 : 0, ge: (a, b) => a >= b ? 1 : 0,
  logical_not: a => a ? 0 : 1, logical_and: (a, b) => a && b ? 1 : 0, logical_or: (a, b) => a || b ? 1 : 0,
  logical_xor: (a, b) => !a !== !b ? 1 : 0,
  where: (a, b, c) => a ? b : c,
};

// The most frequent functions with loops of their own, because browsers compile those to faster code than one call for
// each number. x and y are the strides of a and b: 0 for a single number, else 1.
const LOOP = {
  add: (out, a, b, x, y) => { for (let i = 0; i < out.length; i++) out[i] = a[i * x] + b[i * y]; },
  sub: (out, a, b, x, y) => { for (let i = 0; i < out.length; i++) out[i] = a[i * x] - b[i * y]; },
  mul: (out, a, b, x, y) => { for (let i = 0; i < out.length; i++) out[i] = a[i * x] * b[i * y]; },
  div: (out, a, b, x, y) => { for (let i = 0; i < out.length; i++) out[i] = a[i * x] / b[i * y]; },
  sigmoid: (out, a, b, x) => { for (let i = 0; i < out.length; i++) out[i] = 1 / (1 + Math.exp(-a[i * x])); },
};

// Each fold has a value to start from and a function of that and the next number.
const FOLD = {
  sum: [0, (a, b) => a + b], mean: [0, (a, b) => a + b], prod: [1, (a, b) => a * b],
  max: [-Infinity, Math.max], min: [Infinity, Math.min],
};

// The place of each number of a view in the tensor below it: the view's shape, its strides, and its first place `at`.
function placesOf([shape, strides, at]) {
  let places = Int32Array.of(at);
  shape.forEach((side, dim) => {
    const longer = new Int32Array(places.length * side);
    for (let i = 0; i < places.length; i++)
      for (let j = 0; j < side; j++) longer[i * side + j] = places[i] + j * strides[dim];
    places = longer;
  });
  return places;
}

// Adds the product of a row vector and the matrix b, (inner, columns), to `out` from place `into` on. Number k of the
// vector is a[from + k * stride], and b begins at place `start`. To add eight rows of b at a time takes a browser a third
// of the time that single rows take; rows times 0 are left out.
function addProduct(out, into, columns, inner, a, from, stride, b, start) {
  const factors = new Float64Array(8), rows = new Int32Array(8).fill(start);
  for (let k = 0, filled = 0; k < inner; k++) {
    const factor = a[from + k * stride];
    if (factor !== 0) { factors[filled] = factor; rows[filled++] = start + k * columns; }
    if (filled < 8 && k < inner - 1) continue;
    factors.fill(0, filled);
    filled = 0;
    const f0 = factors[0], f1 = factors[1], f2 = factors[2], f3 = factors[3]; // destructuring is slower
    const f4 = factors[4], f5 = factors[5], f6 = factors[6], f7 = factors[7];
    const r0 = rows[0], r1 = rows[1], r2 = rows[2], r3 = rows[3];
    const r4 = rows[4], r5 = rows[5], r6 = rows[6], r7 = rows[7];
    for (let j = 0; j < columns; j++)
      out[into + j] += f0 * b[r0 + j] + f1 * b[r1 + j] + f2 * b[r2 + j] + f3 * b[r3 + j]
        + f4 * b[r4 + j] + f5 * b[r5 + j] + f6 * b[r6 + j] + f7 * b[r7 + j];
  }
}

// For each channel, each cell of the kernel and each position of the kernel on the image: the place of the number under
// that cell, or -1 in the padding.
function windows({ from, to, groups, transposed, kernel, stride, padding, dilation }) {
  const [channels, rows, columns] = transposed ? to : from, [, down, across] = transposed ? from : to, places = [];
  for (let c = 0; c < channels / groups; c++)
    for (let v = 0; v < kernel[0]; v++)
      for (let h = 0; h < kernel[1]; h++)
        for (let i = 0; i < down; i++)
          for (let j = 0; j < across; j++) {
            const row = i * stride[0] + v * dilation[0] - padding[0];
            const column = j * stride[1] + h * dilation[1] - padding[1];
            const inside = row >= 0 && row < rows && column >= 0 && column < columns;
            places.push(inside ? (c * rows + row) * columns + column : -1);
          }
  return Int32Array.from(places);
}

// For each kind of step, a maker: it turns what the step says into a function of the array to fill and those to read.
const STEP = {
  each(name) {
    const f = EACH[name], loop = LOOP[name];
    return (out, [a, b, c]) => {
      const n = out.length, [x, y, z] = [a, b, c].map(array => array && array.length === n ? 1 : 0);
      if (loop) loop(out, a, b, x, y);
      else if (!b) for (let i = 0; i < n; i++) out[i] = f(a[i * x]);
      else if (!c) for (let i = 0; i < n; i++) out[i] = f(a[i * x], b[i * y]);
      else for (let i = 0; i < n; i++) out[i] = f(a[i * x], b[i * y], c[i * z]);
    };
  },

  move(places, fill) {
    if (Array.isArray(places)) places = placesOf(places);
    fill = Number(fill); // it comes as a text, because JSON has no infinity
    return (out, [a]) => {
      for (let i = 0; i < out.length; i++) out[i] = places[i] < 0 ? fill : a[places[i]];
    };
  },

  join() {
    return (out, parts) => {
      let at = 0;
      for (const part of parts) { out.set(part, at); at += part.length; }
    };
  },

  fold(kind, outer, inner) {
    const [start, f] = FOLD[kind], from = placesOf(outer), over = placesOf(inner);
    const share = kind === "mean" ? 1 / over.length : 1;
    return (out, [a]) => {
      for (let i = 0; i < out.length; i++) {
        let total = start;
        for (let j = 0; j < over.length; j++) total = f(total, a[from[i] + over[j]]);
        out[i] = total * share;
      }
    };
  },

  mm([batch, rows, inner, columns]) {
    const size = inner * columns;
    return (out, [a, b]) => {
      for (let i = 0; i < batch; i++) {
        const into = i * rows * columns, from = i * rows * inner;
        out.fill(0, into, into + columns);
        addProduct(out, into, columns, inner, a, from, 1, b, i * size);
        for (let row = 1; row < rows; row++) { // add only what differs from the first row's product
          const at = into + row * columns;
          const difference = a.subarray(from + row * inner, from + (row + 1) * inner).map((x, k) => x - a[from + k]);
          out.copyWithin(at, into, into + columns);
          addProduct(out, at, columns, inner, difference, 0, 1, b, i * size);
        }
      }
    };
  },

  // A matrix product with all windows of the image as columns. A transposed convolution goes the other way: the product
  // gives the windows, and these are added up to the image.
  conv(geometry) {
    const { images, groups, transposed, kernel } = geometry, places = windows(geometry), taps = kernel[0] * kernel[1];
    const [ins, outs] = [geometry.from[0] / groups, geometry.to[0] / groups];
    const [from, to] = [geometry.from[1] * geometry.from[2], geometry.to[1] * geometry.to[2]];
    const inner = (transposed ? outs : ins) * taps, wide = transposed ? from : to;
    const spread = new Float32Array(inner * wide);
    return (out, [x, weight, bias]) => {
      for (let part = 0; part < images * groups; part++) {
        const start = part * ins * from, into = part * outs * to, first = part % groups * outs;
        const weights = part % groups * ins * outs * taps;
        for (let o = 0; o < outs; o++) out.fill(bias[first + o], into + o * to, into + (o + 1) * to);
        if (transposed) {
          spread.fill(0);
          for (let k = 0; k < inner; k++) addProduct(spread, k * wide, wide, ins, weight, weights + k, inner, x, start);
          for (let i = 0; i < places.length; i++) if (places[i] >= 0) out[into + places[i]] += spread[i];
        } else {
          for (let i = 0; i < places.length; i++) spread[i] = places[i] < 0 ? 0 : x[start + places[i]];
          for (let o = 0; o < outs; o++)
            addProduct(out, into + o * to, to, inner, weight, weights + o * inner, 1, spread, 0);
        }
      }
    };
  },

  norm(block, inner, epsilon) {
    return (out, [x, weight, bias]) => {
      if (block === 0) out.set(x);
      for (let at = 0; block > 0 && at < x.length; at += block) {
        let mean = 0, variance = 0;
        for (let i = at; i < at + block; i++) mean += x[i] / block;
        for (let i = at; i < at + block; i++) variance += (x[i] - mean) ** 2 / block;
        const scale = 1 / Math.sqrt(variance + epsilon);
        for (let i = at; i < at + block; i++) out[i] = (x[i] - mean) * scale;
      }
      for (let at = 0, k = 0; at < x.length; at += inner, k = (k + 1) % weight.length)
        for (let i = at; i < at + inner; i++) out[i] = out[i] * weight[k] + bias[k];
    };
  },
};

// Makes a program a function of Float32Arrays by name. It returns its outputs by name; the next call overwrites them.
function programOf({ sizes, inputs, constants, steps, outputs }, bytes) {
  const arrays = sizes.map(() => null), last = sizes.map(() => Infinity), free = new Map();
  for (const [slot, array] of constants) arrays[slot] = stored(bytes, array);
  for (const slot of Object.values(inputs)) arrays[slot] = new Float32Array(sizes[slot]);
  for (const [, slot] of steps) last[slot] = -1;
  steps.forEach(([, , reads], number) => reads.forEach(slot => { if (last[slot] < Infinity) last[slot] = number; }));
  for (const slot of Object.values(outputs)) last[slot] = Infinity;
  const actions = steps.map(([kind, slot, reads, ...more], number) => { // arrays that no later step reads are reused
    arrays[slot] = (free.get(sizes[slot]) || []).pop() || new Float32Array(sizes[slot]);
    for (const read of new Set([...reads, slot]))
      if (last[read] <= number) free.set(sizes[read], [...(free.get(sizes[read]) || []), arrays[read]]);
    if (kind === "move" && !Array.isArray(more[0])) more[0] = storedPlaces(bytes, more[0]);
    const act = STEP[kind](...more), read = reads.map(slot => arrays[slot]), out = arrays[slot];
    return () => act(out, read);
  });
  return args => {
    for (const [name, numbers] of Object.entries(args)) if (name in inputs) arrays[inputs[name]].set(numbers);
    for (const act of actions) act();
    return Object.fromEntries(Object.entries(outputs).map(([name, slot]) => [name, arrays[slot]]));
  };
}
