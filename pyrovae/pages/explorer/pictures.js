
// Shows pictures, and lets the reader draw one.

function asImageData(image) {
  const data = new ImageData(width, height);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) data.data[4 * i + c] = Math.round(255 * image[(channels < 3 ? 0 : c) * pixels + i]);
    data.data[4 * i + 3] = 255;
  }
  return data;
}

// Ink is what differs from the background: light on a dark one, dark on a light one. The function is its own inverse.
const inkOf = value => state.background > 0.5 ? 1 - value : value;

function asInk(image) {
  const data = new ImageData(width, height);
  for (let i = 0; i < pixels; i++) data.data[4 * i + 3] = Math.round(255 * inkOf(image[i]));
  return data;
}

function show(canvas, image) {
  canvas.getContext("2d").putImageData(asImageData(image), 0, 0);
}

function showPicture() {
  const canvas = at("picture");
  show(canvas, asRead(state.picture));
  if (!seen) return;
  const ink = canvas.getContext("2d"); // tints the pixels that the model does not see
  ink.fillStyle = "rgb(70 130 190 / 55%)";
  for (let i = 0; i < pixels; i++) if (!seen[i]) ink.fillRect(i % width, Math.floor(i / width), 1, 1);
}

// Draws or erases with a soft round brush along the line from (x0, y0) to (x1, y1), in pixels of the picture.
function paint([x0, y0], [x1, y1], erase) {
  const scale = Math.max(0.6, Math.max(width, height) / 28), long = Math.hypot(x1 - x0, y1 - y0) || 1;
  for (let i = 0; i < pixels; i++) {
    const [x, y] = [i % width + 0.5, Math.floor(i / width) + 0.5];
    const along = Math.max(0, Math.min(1, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / long ** 2));
    const away = Math.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)) / scale;
    const ink = Math.max(0, Math.min(1, (erase ? 2.6 : 1.9) - away)), before = inkOf(state.picture[i]);
    state.picture[i] = inkOf(erase ? before * (1 - ink) : Math.max(before, ink));
  }
  state.number = -1;
}

// The centre of a picture's ink, and the longer side of the box around its inked pixels; null if it has none.
function placeOf(picture) {
  let [mass, x, y, left, right, top, bottom] = [0, 0, 0, width, -1, height, -1];
  for (let i = 0; i < pixels; i++) {
    const ink = inkOf(picture[i]), [column, row] = [i % width, Math.floor(i / width)];
    [mass, x, y] = [mass + ink, x + ink * column, y + ink * row];
    if (ink < 0.25) continue;
    [left, right] = [Math.min(left, column), Math.max(right, column)];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
  }
  return right < 0 ? null : { x: x / mass, y: y / mass, side: Math.max(right - left, bottom - top) + 1 };
}

// The mean place of the test images, if all have about the same one, as handwritten digits do; otherwise null.
function usualPlace() {
  const numbers = [...Array(pictures.length / pixels).keys()];
  const places = numbers.map(number => placeOf(unitPicture(number))).filter(Boolean);
  const mean = of => places.reduce((sum, place) => sum + of(place), 0) / places.length;
  const [x, y, side] = [mean(place => place.x), mean(place => place.y), mean(place => place.side)];
  const away = Math.sqrt(mean(place => (place.x - x) ** 2 + (place.y - y) ** 2));
  return places.length && away < 0.08 * Math.max(width, height) ? { x, y, side } : null;
}

// Moves and resizes the drawing to the place `usual` of the test images, because the encoder has seen no other place.
function fit(usual) {
  const now = placeOf(state.picture), before = state.picture.map(inkOf);
  if (!now) return;
  const scale = now.side / usual.side;
  const inside = (column, row) => column >= 0 && row >= 0 && column < width && row < height;
  const ink = (column, row) => inside(column, row) ? before[row * width + column] : 0;
  for (let i = 0; i < pixels; i++) {
    const [x, y] = [now.x + scale * (i % width - usual.x), now.y + scale * (Math.floor(i / width) - usual.y)];
    const [left, top] = [Math.floor(x), Math.floor(y)], [p, q] = [x - left, y - top];
    const upper = (1 - p) * ink(left, top) + p * ink(left + 1, top);
    const lower = (1 - p) * ink(left, top + 1) + p * ink(left + 1, top + 1);
    state.picture[i] = inkOf((1 - q) * upper + q * lower);
  }
}
