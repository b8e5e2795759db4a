
// Pictures: how they are shown, and drawn by hand.

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
  const scale = Math.max(0.6, Math.max(width, height) / 28), light = told.paper > 0.5, long = Math.hypot(x1 - x0, y1 - y0) || 1;
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
