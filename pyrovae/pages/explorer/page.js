
// Turns what the reader does into a code, a picture or a class. The page is drawn again in the next frame.

let frameRequested = false;

function changed() {
  if (frameRequested || !bytes) return;
  frameRequested = true;
  requestAnimationFrame(() => { frameRequested = false; render(); });
}

function render() {
  const z = state.hover || state.code, start = performance.now();
  state.image = decode(z).slice();
  const spent = performance.now() - start;
  state.milliseconds = state.milliseconds ? 0.9 * state.milliseconds + 0.1 * spent : spent;
  show(at("decoded"), state.image);
  showPicture();
  drawPlane();
  const valueOf = d => `${nameOfDimension(d)} = ${asText(z[d])}`, encoded = state.posterior && !state.hover;
  at("code").textContent = (flat ? [state.across] : [state.across, state.up]).map(valueOf).join(", ")
    + (encoded ? `: ${posteriorText()}` : "");
  const other = contents.condition === "labels" && (!encoded || state.label !== state.encodedAs);
  const asClass = `decoded as ${contents.classes[state.label]}`;
  at("what").textContent = other ? asClass : encoded ? "reconstruction" : "decoded";
  at("speed").textContent = `${state.milliseconds.toFixed(1)} ms`;
  at("whose").textContent = state.number < 0 ? "your drawing" : captionOf(state.number);
  for (const slider of document.querySelectorAll(".slider")) slider.update(z);
  at("fit").disabled = state.number >= 0;
  const buttons = document.querySelectorAll("#strip button");
  buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === state.number));
  const backdrop = backdropOf();
  if (backdrop !== tiles.of) { tiles.of = backdrop; restartTiles(); }
}

function posteriorText() { // what the plane shows of the posterior
  if (state.posterior.draws) return "the picture's code, with draws from its posterior, which is not an ellipse";
  if (!spreads(state.posterior)) return "the picture's code, a point, because this posterior has no width";
  return "the picture's code, with ellipses at one and two standard deviations";
}

function captionOf(number) { // of a test image: its class, or its number if there are no classes
  return `test image ${pictureLabels ? `of class ${contents.classes[pictureLabels[number]]}` : number + 1}`;
}

function backdropOf() { // everything that the decoded plane depends on, as a text
  const fixed = Array.from(state.code, (value, d) => d === state.across || d === state.up ? 0 : value);
  const context = { images: Array.from(state.picture), labels: state.label }[contents.condition];
  return JSON.stringify([at("manifold").checked, state.across, state.up, fixed, context]);
}

function shareOf(event, canvas) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

function listenToPlane() {
  let down = false;
  const go = event => moveTo(codeAt(...shareOf(event, plane)));
  plane.addEventListener("pointerdown", event => {
    down = true;
    state.hover = null;
    plane.setPointerCapture(event.pointerId);
    go(event);
  });
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
  dark.addEventListener("change", () => { drawDots(); fillLegend(); changed(); });
}

function listenToPicture() {
  const canvas = at("picture"), erase = at("erase");
  const drawable = channels === 1;
  erase.hidden = at("clear").hidden = at("fit").hidden = !drawable;
  if (!drawable) return;
  canvas.classList.add("drawable");
  canvas.title = "Draw here";
  let last = null;
  const spot = event => { const [x, y] = shareOf(event, canvas); return [x * width, y * height]; };
  const go = event => {
    const now = spot(event);
    paint(last || now, now, erases());
    last = now;
    readPicture();
  };
  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    last = null;
    go(event);
  });
  canvas.addEventListener("pointermove", event => { if (last) go(event); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
  const usual = usualPlace();
  at("fit").hidden = !usual;
  at("fit").addEventListener("click", () => { fit(usual); readPicture(); });
  const erases = () => erase.getAttribute("aria-pressed") === "true";
  erase.addEventListener("click", () => erase.setAttribute("aria-pressed", !erases()));
  at("clear").addEventListener("click", () => {
    state.picture.fill(state.background > 0.5 ? 1 : 0);
    state.number = -1;
    erase.setAttribute("aria-pressed", false);
    readPicture();
  });
}

async function start() {
  bytes = await unpacked(at("numbers").textContent.trim());
  [decoder, encoder] = [programOf(contents.decoder, bytes), programOf(contents.encoder, bytes)];
  const arrays = [contents.codes, contents.draws, contents.pictures];
  [codes, draws, pictures] = arrays.map(({ values }) => stored(bytes, values));
  const optional = [contents.codes.labels, contents.pictures.labels, contents.seen];
  [labels, pictureLabels, seen] = optional.map(array => array && stored(bytes, array));
  let total = 0;
  for (const value of pictures) total += value / 255;
  state.background = total / pictures.length;
  for (const canvas of [at("picture"), at("decoded")]) {
    [canvas.width, canvas.height] = [width, height];
    canvas.style.aspectRatio = `${width} / ${height}`;
  }
  at("manifold").checked = latent.dimensions < 3;
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
  at("middle").addEventListener("click", () => moveTo(Float32Array.from(latent.centre)));
  for (let i = 0; i < 5; i++) decode(state.code); // a browser compiles the loops during the first calls
  resize();
  pick(0);
}

start().catch(error => {
  at("status").hidden = false;
  at("status").textContent = `This page could not start; it needs a browser of 2023 or later: ${error.message}`;
  throw error;
});
