// What the page shows, and what changes it.

const at = id => document.getElementById(id);
const told = JSON.parse(at("contents").textContent);
const [channels, height, width] = told.shape, [columns, rows] = [width, height], pixels = height * width;
const flat = told.latent === 1; // one dimension: the plane becomes a line, one row for each label
let bytes, decoder, encoder, pictures, pictureLabels, codes, labels, draws, seen;

const state = {
  across: told.latent > 2 ? told.axes[0] : 0, // the dimension that the plane shows from left to right
  up: flat ? -1 : told.latent > 2 ? told.axes[1] : 1, // and upwards
  code: Float32Array.from(told.centre), // where the code stays
  hover: null, // the code under the pointer
  picture: new Float32Array(channels * pixels), // what is encoded, in [0, 1]
  number: -1, // of the test image that it is; -1: drawn
  label: 0, // the class to decode
  posterior: null, // of the picture, while the code is its mean
  encodedAs: 0, // the class that it was encoded with
  image: null, // decoded, in [0, 1]
  milliseconds: 0,
};

const oneHot = label => Float32Array.from(told.classes, (_, i) => i === label ? 1 : 0);
const nameOfDimension = d => "z" + [...String(d + 1)].map(digit => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");
const asText = value => value.toFixed(2).replace("-", "−");
const asSeen = picture => told.binary ? picture.map(value => value > 0.5 ? 1 : 0) : picture;

function decode(z) {
  return decoder({ z, y: oneHot(state.label), u: asSeen(state.picture) }).image;
}

function encode() {
  const found = encoder({ u: asSeen(state.picture), y: oneHot(state.label) });
  return Object.fromEntries(Object.entries(found).map(([name, numbers]) => [name, numbers.slice()]));
}

// The covariance of two dimensions, [a, b; b, c], of a posterior that is told by one.
function covariance({ variance, factor }, i, j) {
  const rank = factor ? factor.length / told.latent : 0;
  const entry = (p, q) => {
    let total = variance && p === q ? variance[p] : 0;
    for (let r = 0; r < rank; r++) total += factor[p * rank + r] * factor[q * rank + r];
    return total;
  };
  return [entry(i, i), j < 0 ? 0 : entry(i, j), j < 0 ? 0 : entry(j, j)];
}

function moveTo(code) {
  state.code = code;
  state.posterior = null;
  changed();
}

function readPicture() { // encode it, and go to its code
  const posterior = encode();
  state.code = posterior.mean;
  state.posterior = posterior;
  state.encodedAs = state.label;
  changed();
}

function unitPicture(number) { // a test image, in [0, 1]
  const size = channels * pixels;
  return Float32Array.from(pictures.subarray(number * size, (number + 1) * size), value => value / 255);
}

function pick(number) {
  state.picture = unitPicture(number);
  state.number = number;
  if (told.condition === "labels") chooseLabel(pictureLabels[number]);
  readPicture();
}

function chooseLabel(label) {
  state.label = label;
  for (const input of document.querySelectorAll("#classes input")) input.checked = Number(input.value) === label;
  const select = document.querySelector("#classes select");
  if (select) select.value = label;
  changed();
}

function randomCode() {
  const wanted = told.condition === "labels" ? state.label : state.number;
  let fitting = [...Array(draws.length / told.latent).keys()];
  const given = told.draw_contexts && fitting.filter(i => told.draw_contexts[i] === wanted);
  if (given && given.length) fitting = given;
  const i = fitting[Math.floor(Math.random() * fitting.length)];
  moveTo(draws.slice(i * told.latent, (i + 1) * told.latent));
}
