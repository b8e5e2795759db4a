// The state of the page, and the functions that change it.

const at = id => document.getElementById(id);
const contents = JSON.parse(at("contents").textContent), { latent } = contents; // fields: see contents.py
const [channels, height, width] = contents.shape, pixels = height * width;
const flat = latent.dimensions === 1; // then the plane shows a line, with a row of dots for each label
let bytes, decoder, encoder, pictures, pictureLabels, codes, labels, draws, seen; // read by `start`

const state = {
  across: latent.dimensions > 2 ? latent.axes[0] : 0, // the dimension that the plane shows from left to right
  up: flat ? -1 : latent.dimensions > 2 ? latent.axes[1] : 1, // the dimension that it shows upwards
  code: Float32Array.from(latent.centre), // the code that is kept
  hover: null, // the code under the pointer, which is decoded instead of `code`
  picture: new Float32Array(channels * pixels), // the picture that is encoded, in [0, 1]
  number: -1, // of the test image in `picture`, or -1 for a drawing
  label: 0, // the class that is decoded
  posterior: null, // the picture's posterior, as long as `code` is its mean
  encodedAs: 0, // the class that the picture was encoded with
  image: null, // the decoded image, in [0, 1]
  background: 0, // the mean value of the test images: above 0.5 their background is light
  milliseconds: 0, // that decoding takes, averaged over the last frames
};

const oneHot = label => Float32Array.from(contents.classes, (_, i) => i === label ? 1 : 0);
const nameOfDimension = d => "z" + [...String(d + 1)].map(digit => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");
const asText = value => value.toFixed(2).replace("-", "−");
const asRead = picture => contents.binary ? picture.map(value => value > 0.5 ? 1 : 0) : picture;

function decode(z) {
  return decoder({ z, y: oneHot(state.label), u: asRead(state.picture) }).image;
}

function encode() {
  const posterior = encoder({ u: asRead(state.picture), y: oneHot(state.label) });
  return Object.fromEntries(Object.entries(posterior).map(([name, numbers]) => [name, numbers.slice()]));
}

// The entries a, b, c of the covariance [a, b; b, c] of dimensions i and j; j is -1 if there is only one dimension.
function covariance({ variance, factor }, i, j) {
  const rank = factor ? factor.length / latent.dimensions : 0;
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

function readPicture() { // encodes the picture and moves to its code
  const posterior = encode();
  state.code = posterior.mean;
  state.posterior = posterior;
  state.encodedAs = state.label;
  changed();
}

function unitPicture(number) { // test image `number`, in [0, 1]
  const size = channels * pixels;
  return Float32Array.from(pictures.subarray(number * size, (number + 1) * size), value => value / 255);
}

function pick(number) {
  state.picture = unitPicture(number);
  state.number = number;
  if (contents.condition === "labels") chooseLabel(pictureLabels[number]);
  readPicture();
}

function chooseLabel(label) {
  state.label = label;
  for (const input of document.querySelectorAll("#classes input")) input.checked = Number(input.value) === label;
  const select = document.querySelector("#classes select");
  if (select) select.value = label;
  changed();
}

function randomCode() { // moves to a draw from the prior, for the class or the picture that is chosen if there is one
  const { contexts } = contents.draws, wanted = contents.condition === "labels" ? state.label : state.number;
  const all = [...Array(draws.length / latent.dimensions).keys()];
  const fitting = contexts ? all.filter(i => contexts[i] === wanted) : [], choice = fitting.length ? fitting : all;
  const i = choice[Math.floor(Math.random() * choice.length)];
  moveTo(draws.slice(i * latent.dimensions, (i + 1) * latent.dimensions));
}
