// The page: what the pointer does becomes a code, a picture or a context; what follows is computed in the next frame.

const at = id => document.getElementById(id);
const told = JSON.parse(at("contents").textContent);
const [channels, height, width] = told.shape, [columns, rows] = [width, height], pixels = height * width;
const flat = told.latent === 1; // one dimension: the plane becomes a line, one row for each label
let bytes, decoder, encoder, pictures, pictureLabels, codes, labels, draws, seen;

const state = {
  across: told.latent > 2 ? told.axes[0] : 0, up: flat ? -1 : told.latent > 2 ? told.axes[1] : 1, // the dimensions that the plane shows
  code: Float32Array.from(told.centre), // where the code stays
  hover: null, // the code under the pointer
  picture: new Float32Array(channels * pixels), // what is encoded, in [0, 1]
  number: -1, // of the test image that it is; -1: drawn
  label: 0, // the class to decode
  posterior: null, // of the picture, while the code is its mean
  image: null, // decoded, in [0, 1]
  milliseconds: 0,
};

// --- the networks ---

const oneHot = label => Float32Array.from(told.classes, (_, i) => i === label ? 1 : 0);
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

// --- what changes the state ---

function moveTo(code) {
  state.code = code;
  state.posterior = null;
  changed();
}

function readPicture() { // encode it, and go to its code
  const posterior = encode();
  state.code = posterior.mean;
  state.posterior = posterior;
  changed();
}

function pick(number) {
  const size = channels * pixels;
  state.picture = Float32Array.from(pictures.subarray(number * size, (number + 1) * size), value => value / 255);
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

// --- the plane ---

const plane = at("plane"), sheet = plane.getContext("2d");
const behind = document.createElement("canvas"), dots = document.createElement("canvas");

function view() { // the middle of what is shown, and how far it reaches: the same on both axes
  const ends = [state.across, state.up].filter(d => d >= 0).map(d => [told.low[d], told.high[d]]);
  const reach = Math.max(...ends.map(([low, high]) => (high - low) / 2));
  return { middle: ends.map(([low, high]) => (low + high) / 2), reach };
}

const toX = z => (0.5 + (z - view().middle[0]) / (2 * view().reach)) * plane.width;
const toY = z => flat ? plane.height / 2 : (0.5 - (z - view().middle[1]) / (2 * view().reach)) * plane.height;

function codeAt(x, y) { // x and y as shares of the plane
  const { middle, reach } = view(), z = state.code.slice();
  z[state.across] = middle[0] + (2 * x - 1) * reach;
  if (!flat) z[state.up] = middle[1] + (1 - 2 * y) * reach;
  return z;
}

function resize() {
  const side = Math.round(plane.clientWidth * Math.min(window.devicePixelRatio || 1, 2));
  if (side && side !== plane.width) {
    plane.width = plane.height = side;
    drawDots();
    changed();
  }
}

function drawDots() {
  dots.width = dots.height = plane.width;
  const ink = dots.getContext("2d"), n = codes.length / told.axes.length, scale = plane.width / plane.clientWidth;
  const [i, j] = [told.axes.indexOf(state.across), told.axes.indexOf(state.up)];
  const radius = scale * Math.max(1.5, Math.min(3, 90 / Math.sqrt(n)));
  ink.globalAlpha = 0.8;
  for (let k = 0; k < n; k++) {
    const label = labels ? labels[k] : 0, row = (label + 0.5 + 0.7 * ((k * 0.618) % 1 - 0.5)) / told.colours.length;
    const y = flat ? (0.04 + 0.8 * row) * plane.height : toY(codes[j * n + k]);
    ink.fillStyle = told.colours[label];
    ink.beginPath();
    ink.arc(toX(codes[i * n + k]), y, radius, 0, 2 * Math.PI);
    ink.fill();
  }
}

// Decoded places of the plane, drawn a few at a time so that the pointer never waits; from coarse to fine.
const tiles = { wanted: false, left: [], side: 0, drawn: 0 };

function restartTiles() {
  tiles.wanted = at("manifold").checked;
  if (!tiles.wanted) return;
  tiles.side = Math.max(8, Math.min(20, Math.floor(1200 / Math.max(width, height))));
  const lines = flat ? 1 : tiles.side, size = [tiles.side * width, lines * height];
  if (behind.width !== size[0] || behind.height !== size[1]) [behind.width, behind.height] = size;
  tiles.left = [];
  for (let line = 0; line < lines; line++) for (let i = 0; i < tiles.side; i++) tiles.left.push([i, line]);
  tiles.left.sort((a, b) => order(b) - order(a)); // taken from the end
  function order([i, line]) { return (i % 2 || line % 2 ? 1e4 : 0) + Math.hypot(i - tiles.side / 2, line - lines / 2); }
  requestAnimationFrame(drawTiles);
}

function drawTiles() {
  const start = performance.now(), ink = behind.getContext("2d");
  if (!tiles.wanted || !tiles.left.length || tiles.busy === start) return;
  do {
    const [i, line] = tiles.left.pop();
    const image = decode(codeAt((i + 0.5) / tiles.side, (line + 0.5) / tiles.side));
    ink.putImageData(channels < 3 ? asInk(image) : asImageData(image), i * width, line * height);
    tiles.drawn++;
  } while (tiles.left.length && performance.now() - start < 9);
  changed();
  if (!tiles.queued) { tiles.queued = true; requestAnimationFrame(() => { tiles.queued = false; drawTiles(); }); }
}

const tinted = document.createElement("canvas");

function inked(colour) { // the tiles in the colour of the page's text
  const now = [colour, tiles.of, tiles.drawn].join();
  if (tinted.of === now) return tinted;
  tinted.of = now;
  [tinted.width, tinted.height] = [behind.width, behind.height];
  const brush = tinted.getContext("2d");
  brush.drawImage(behind, 0, 0);
  brush.globalCompositeOperation = "source-in";
  brush.fillStyle = colour;
  brush.fillRect(0, 0, tinted.width, tinted.height);
  return tinted;
}

function drawPlane() {
  const style = getComputedStyle(document.body), ink = style.getPropertyValue("--ink"), side = plane.width;
  const scale = side / plane.clientWidth, backdrop = tiles.wanted;
  sheet.clearRect(0, 0, side, side);
  if (backdrop) {
    const tall = flat ? side / tiles.side * height / width : side;
    sheet.globalAlpha = at("codes").checked ? (channels < 3 ? 0.3 : 0.55) : 1;
    sheet.drawImage(channels < 3 ? inked(ink) : behind, 0, side - tall, side, tall);
    sheet.globalAlpha = 1;
  }
  sheet.lineWidth = scale;
  drawAxes(style.getPropertyValue("--soft"), scale);
  if (at("codes").checked) sheet.drawImage(dots, 0, 0);
  const strokes = [[style.getPropertyValue("--card"), 4.5], [ink, 2]]; // a light edge, so that it is seen on anything
  if (state.posterior) for (const [colour, thick] of strokes) drawPosterior(colour, thick * scale);
  for (const [colour, thick] of strokes) drawMark(state.code, colour, thick * scale, state.posterior ? 1 : 6);
  if (state.hover) for (const [colour, thick] of strokes) drawMark(state.hover, colour, thick * scale, 9);
}

function drawAxes(colour, scale) {
  const { reach, middle } = view();
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find(one => reach / one < 4) || reach;
  sheet.strokeStyle = sheet.fillStyle = colour;
  sheet.font = `${12 * scale}px system-ui, sans-serif`;
  if (told.normal && !flat && !tiles.wanted) {
    sheet.setLineDash([2 * scale, 4 * scale]);
    for (const radius of [1, 2, 3]) {
      sheet.beginPath();
      sheet.arc(toX(0), toY(0), radius / (2 * reach) * plane.width, 0, 2 * Math.PI);
      sheet.stroke();
    }
    sheet.setLineDash([]);
  }
  const label = (text, x, y) => {
    const wide = sheet.measureText(text).width + 6 * scale;
    sheet.globalAlpha = tiles.wanted ? 0.85 : 0;
    sheet.fillStyle = getComputedStyle(document.body).getPropertyValue("--card");
    sheet.fillRect(x - wide / 2, y - 9 * scale, wide, 17 * scale);
    sheet.globalAlpha = 1;
    sheet.fillStyle = colour;
    sheet.fillText(text, x, y);
  };
  sheet.textAlign = "center";
  sheet.textBaseline = "middle";
  const number = value => String(Number(value.toFixed(2))).replace("-", "−"), low = plane.height - 14 * scale;
  const title = d => `z${d + 1}`;
  label(title(state.across), plane.width - 16 * scale, low);
  if (!flat) label(title(state.up), 18 * scale, 16 * scale);
  for (let z = Math.ceil((middle[0] - reach) / step) * step; z <= middle[0] + reach; z += step)
    if (toX(z) > 40 * scale && toX(z) < plane.width - 34 * scale) label(number(z), toX(z), low);
  for (let z = flat ? Infinity : Math.ceil((middle[1] - reach) / step) * step; z <= middle[1] + reach; z += step)
    if (toY(z) > 34 * scale && toY(z) < plane.height - 40 * scale) label(number(z), 18 * scale, toY(z));
}

function drawMark(z, colour, thick, radius) {
  const x = toX(z[state.across]), y = flat ? null : toY(z[state.up]), scale = plane.width / plane.clientWidth;
  sheet.strokeStyle = colour;
  sheet.lineWidth = thick;
  sheet.beginPath();
  if (flat) { sheet.moveTo(x, 0); sheet.lineTo(x, plane.height); }
  else sheet.arc(x, y, radius * scale, 0, 2 * Math.PI);
  sheet.stroke();
}

// The ellipses of one and two standard deviations: half axes in units of z, and the angle of the longer one.
function ellipse(posterior) {
  const [a, b, c] = covariance(posterior, state.across, state.up);
  const mid = (a + c) / 2, away = Math.hypot((a - c) / 2, b);
  return { long: Math.sqrt(mid + away), short: Math.sqrt(Math.max(0, mid - away)), angle: Math.atan2(2 * b, a - c) / 2 };
}

function drawPosterior(colour, thick) {
  const { posterior } = state, unit = plane.width / (2 * view().reach);
  sheet.strokeStyle = sheet.fillStyle = colour;
  sheet.lineWidth = thick;
  if (posterior.draws) {
    for (let i = 0; i < posterior.draws.length; i += told.latent) {
      sheet.beginPath();
      sheet.arc(toX(posterior.draws[i + state.across]), toY(posterior.draws[i + state.up]), thick * 0.9, 0, 2 * Math.PI);
      sheet.fill();
    }
  } else if (posterior.variance || posterior.factor) {
    const { long, short, angle } = ellipse(posterior), x = toX(posterior.mean[state.across]);
    for (const deviations of [1, 2]) {
      sheet.globalAlpha = deviations === 1 ? 1 : 0.6;
      sheet.beginPath();
      if (flat) for (const side of [-1, 1]) {
        sheet.moveTo(x + side * deviations * long * unit, 0);
        sheet.lineTo(x + side * deviations * long * unit, plane.height);
      }
      else sheet.ellipse(x, toY(posterior.mean[state.up]), deviations * long * unit, deviations * short * unit, -angle, 0, 2 * Math.PI);
      sheet.stroke();
    }
    sheet.globalAlpha = 1;
  }
}

// --- pictures ---

function asImageData(image) {
  const data = new ImageData(columns, rows);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) data.data[4 * i + c] = Math.round(255 * image[(channels < 3 ? 0 : c) * pixels + i]);
    data.data[4 * i + 3] = 255;
  }
  return data;
}

function asInk(image) { // as much ink as there is light in a dark picture, or darkness in a light one
  const data = new ImageData(columns, rows);
  for (let i = 0; i < pixels; i++) data.data[4 * i + 3] = Math.round(255 * (told.paper > 0.5 ? 1 - image[i] : image[i]));
  return data;
}

function show(canvas, image) {
  canvas.getContext("2d").putImageData(asImageData(image), 0, 0);
}

function showPicture() {
  const canvas = at("picture");
  show(canvas, asSeen(state.picture));
  if (!seen) return;
  const ink = canvas.getContext("2d"); // what the model does not see lies under a veil
  ink.fillStyle = "rgb(70 130 190 / 55%)";
  for (let i = 0; i < pixels; i++) if (!seen[i]) ink.fillRect(i % width, Math.floor(i / width), 1, 1);
}

// A soft round brush along the line from one place to another, in pixels of the picture.
function paint([x0, y0], [x1, y1], erase) {
  const scale = Math.max(width, height) / 28, light = told.paper > 0.5, long = Math.hypot(x1 - x0, y1 - y0) || 1;
  for (let i = 0; i < pixels; i++) {
    const [x, y] = [i % width + 0.5, Math.floor(i / width) + 0.5];
    const along = Math.max(0, Math.min(1, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / long ** 2));
    const away = Math.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)) / scale;
    const ink = Math.max(0, Math.min(1, (erase ? 2.6 : 1.9) - away)), held = light ? 1 - state.picture[i] : state.picture[i];
    const now = erase ? held * (1 - ink) : Math.max(held, ink);
    state.picture[i] = light ? 1 - now : now;
  }
  state.number = -1;
}

// --- a frame ---

let asked = false;

function changed() {
  if (asked || !bytes) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; render(); });
}

function render() {
  const z = state.hover || state.code, start = performance.now();
  state.image = decode(z).slice();
  const spent = performance.now() - start;
  state.milliseconds = state.milliseconds ? 0.9 * state.milliseconds + 0.1 * spent : spent;
  show(at("decoded"), state.image);
  showPicture();
  drawPlane();
  const named = d => `z${d + 1} = ${z[d].toFixed(2).replace("-", "−")}`, encoded = state.posterior && !state.hover;
  at("code").textContent = (flat ? [state.across] : [state.across, state.up]).map(named).join(", ")
    + (encoded ? ` – ${place()}` : "");
  at("what").textContent = encoded ? "reconstruction" : "decoded";
  at("speed").textContent = `${state.milliseconds.toFixed(1)} ms`;
  at("whose").textContent = state.number < 0 ? "drawing" : nameOf(state.number);
  for (const slider of document.querySelectorAll(".slider")) slider.update(z);
  document.querySelectorAll("#strip button").forEach((button, i) => button.setAttribute("aria-pressed", i === state.number));
  const backdrop = backdropOf();
  if (backdrop !== tiles.of) { tiles.of = backdrop; restartTiles(); }
}

function place() {
  if (state.posterior.draws) return "the picture's code: the mean of draws from its posterior, which is no ellipse";
  if (!state.posterior.variance && !state.posterior.factor) return "the picture's code: a point, as this posterior has no width";
  return "the picture's code: its posterior's mean, and ellipses of one and two standard deviations";
}

function nameOf(number) {
  return pictureLabels ? told.classes[pictureLabels[number]] : `test image ${number + 1}`;
}

function backdropOf() { // what the decoded plane depends on
  const fixed = Array.from(state.code, (value, d) => d === state.across || d === state.up ? 0 : value);
  const context = told.condition === "images" ? Array.from(state.picture) : told.condition === "labels" ? state.label : 0;
  return JSON.stringify([at("manifold").checked, state.across, state.up, fixed, context]);
}

// --- the page's parts ---

function shareOf(event, canvas) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

function listenToPlane() {
  let down = false;
  const go = event => moveTo(codeAt(...shareOf(event, plane)));
  plane.addEventListener("pointerdown", event => { down = true; state.hover = null; plane.setPointerCapture(event.pointerId); go(event); });
  plane.addEventListener("pointermove", event => {
    if (down) go(event);
    else if (event.pointerType !== "touch") { state.hover = codeAt(...shareOf(event, plane)); changed(); }
  });
  for (const end of ["pointerup", "pointercancel"]) plane.addEventListener(end, () => { down = false; });
  plane.addEventListener("pointerleave", () => { state.hover = null; changed(); });
  plane.addEventListener("keydown", event => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way || (flat && way[1])) return;
    event.preventDefault();
    const z = state.code.slice(), step = view().reach * (event.shiftKey ? 0.1 : 0.02);
    z[state.across] += way[0] * step;
    if (!flat) z[state.up] += way[1] * step;
    state.hover = null;
    moveTo(z);
  });
  new ResizeObserver(resize).observe(plane);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}

function listenToPicture() {
  const canvas = at("picture"), erase = at("erase");
  told.drawable = channels === 1;
  erase.hidden = at("clear").hidden = !told.drawable;
  if (!told.drawable) return;
  canvas.classList.add("drawable");
  canvas.title = "Draw here";
  let last = null;
  const spot = event => { const [x, y] = shareOf(event, canvas); return [x * width, y * height]; };
  const go = event => {
    const now = spot(event);
    paint(last || now, now, erase.getAttribute("aria-pressed") === "true");
    last = now;
    readPicture();
  };
  canvas.addEventListener("pointerdown", event => { canvas.setPointerCapture(event.pointerId); last = null; go(event); });
  canvas.addEventListener("pointermove", event => { if (last) go(event); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
  erase.addEventListener("click", () => erase.setAttribute("aria-pressed", erase.getAttribute("aria-pressed") !== "true"));
  at("clear").addEventListener("click", () => {
    state.picture.fill(told.paper > 0.5 ? 1 : 0);
    state.number = -1;
    erase.setAttribute("aria-pressed", false);
    readPicture();
  });
}

function fillStrip() {
  const strip = at("strip"), size = channels * pixels, n = pictures.length / size;
  for (let i = 0; i < n; i++) {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    show(canvas, Float32Array.from(pictures.subarray(i * size, (i + 1) * size), value => value / 255));
    button.type = "button";
    button.tabIndex = i ? -1 : 0;
    button.setAttribute("aria-label", `test image ${i + 1}` + (pictureLabels ? `: ${nameOf(i)}` : ""));
    button.addEventListener("click", () => pick(i));
    button.append(canvas);
    strip.append(button);
  }
  strip.addEventListener("keydown", event => { // one stop of the tab key; arrows go on from there
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key], now = [...strip.children].indexOf(event.target);
    const next = strip.children[now + step];
    if (!next) return;
    event.preventDefault();
    [event.target.tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  });
}

function fillClasses() {
  const box = at("classes");
  if (told.condition !== "labels") return;
  box.hidden = false;
  if (told.classes.length > 40) {
    const select = document.createElement("select");
    told.classes.forEach((name, i) => select.append(new Option(name, i)));
    select.setAttribute("aria-label", "class");
    select.addEventListener("change", () => chooseLabel(Number(select.value)));
    box.append(select);
    return;
  }
  const chips = document.createElement("div");
  chips.className = "chips";
  told.classes.forEach((name, i) => {
    const label = document.createElement("label"), input = document.createElement("input"), text = document.createElement("span");
    Object.assign(input, { type: "radio", name: "class", value: i });
    input.addEventListener("change", () => chooseLabel(i));
    text.textContent = name;
    label.append(input, text);
    chips.append(label);
  });
  box.append(chips);
}

function fillLegend() {
  if (!labels) return;
  const shown = told.classes.slice(0, 48);
  shown.forEach((name, i) => {
    const item = document.createElement("li"), dot = document.createElement("span");
    dot.style.background = told.colours[i];
    item.append(dot, name);
    at("legend").append(item);
  });
  if (shown.length < told.classes.length) at("legend").append(`and ${told.classes.length - shown.length} more`);
}

const FIRST = 12; // sliders that are shown at once

function fillSliders() {
  const box = at("sliders"), most = Math.max(...told.amounts);
  box.replaceChildren();
  const rest = told.order.filter(d => d !== state.across && d !== state.up);
  at("others").hidden = !rest.length;
  at("measure").textContent = told.measure;
  const add = d => {
    const row = document.createElement("label"), name = document.createElement("span"), range = document.createElement("input");
    const value = document.createElement("output"), amount = document.createElement("meter");
    row.className = "slider";
    name.textContent = `z${d + 1}`;
    Object.assign(range, { type: "range", min: Math.min(told.low[d], -1), max: Math.max(told.high[d], 1), step: 0.01 });
    Object.assign(amount, { min: 0, max: most || 1, value: told.amounts[d] });
    amount.title = `${told.measure} ${told.amounts[d].toFixed(2)}`;
    range.addEventListener("input", () => {
      const z = state.code.slice();
      z[d] = Number(range.value);
      moveTo(z);
    });
    row.update = z => {
      if (document.activeElement !== range || !range.matches(":active")) range.value = z[d];
      value.textContent = z[d].toFixed(2).replace("-", "−");
    };
    row.append(name, range, value, amount);
    box.append(row);
  };
  rest.slice(0, FIRST).forEach(add);
  const more = at("more"), others = rest.slice(FIRST);
  more.hidden = !others.length;
  more.textContent = `the other ${others.length}`;
  more.onclick = () => { others.forEach(add); more.hidden = true; changed(); };
}

function fillAxes() {
  at("axes").hidden = told.latent < 3;
  for (const [id, which] of [["across", "across"], ["up", "up"]]) {
    const select = at(id);
    for (const d of told.axes) select.append(new Option(`z${d + 1}`, d));
    select.value = state[which];
    select.addEventListener("change", () => {
      const other = which === "across" ? "up" : "across", before = state[which];
      state[which] = Number(select.value);
      if (state[other] === state[which]) { state[other] = before; at(other).value = before; }
      drawDots();
      fillSliders();
      changed();
    });
  }
}

async function start() {
  bytes = await unpacked(at("numbers").textContent.trim());
  [decoder, encoder] = [programOf(told.decoder, bytes), programOf(told.encoder, bytes)];
  [codes, draws, pictures] = [told.codes, told.draws, told.pictures].map(one => stored(bytes, one));
  [labels, pictureLabels, seen] = [told.labels, told.picture_labels, told.seen].map(one => one && stored(bytes, one));
  let total = 0;
  for (const value of pictures) total += value / 255;
  told.paper = total / pictures.length; // light, or dark
  for (const canvas of [at("picture"), at("decoded")]) {
    [canvas.width, canvas.height] = [width, height];
    canvas.style.aspectRatio = `${width} / ${height}`;
  }
  at("manifold").checked = told.latent < 3;
  at("status").hidden = true;
  document.querySelector("main").hidden = false;
  fillAxes();
  fillClasses();
  fillStrip();
  fillLegend();
  fillSliders();
  listenToPlane();
  listenToPicture();
  for (const id of ["codes", "manifold"]) at(id).addEventListener("change", changed);
  at("random").addEventListener("click", randomCode);
  at("middle").addEventListener("click", () => moveTo(Float32Array.from(told.centre)));
  resize();
  pick(0);
}

start().catch(error => {
  at("status").hidden = false;
  at("status").textContent = `This page needs a browser of 2023 or later: ${error.message}`;
  throw error;
});
