
// Draws the plane: the dots, the decoded plane behind them, the posterior, and the code under the pointer.

const plane = at("plane"), sheet = plane.getContext("2d");
const behind = document.createElement("canvas"), dots = document.createElement("canvas");

function view() { // the middle of the shown part of the plane, and how far it reaches, the same on both axes
  const ends = [state.across, state.up].filter(d => d >= 0).map(d => [latent.low[d], latent.high[d]]);
  const reach = Math.max(...ends.map(([low, high]) => (high - low) / 2));
  return { middle: ends.map(([low, high]) => (low + high) / 2), reach };
}

const toX = z => (0.5 + (z - view().middle[0]) / (2 * view().reach)) * plane.width;
const toY = z => flat ? plane.height / 2 : (0.5 - (z - view().middle[1]) / (2 * view().reach)) * plane.height;

function codeAt(x, y) { // the code at a place of the plane, x and y from 0 to 1
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

const dark = matchMedia("(prefers-color-scheme: dark)");

function colourOf(label) { // a third lighter on a dark page
  const parts = contents.colours[label].match(/[0-9a-f]{2}/gi).map(part => parseInt(part, 16));
  return `rgb(${parts.map(part => Math.round(dark.matches ? part + (255 - part) / 3 : part)).join(" ")})`;
}

function drawDots() {
  dots.width = dots.height = plane.width;
  const ink = dots.getContext("2d"), n = codes.length / latent.axes.length, scale = plane.width / plane.clientWidth;
  const [i, j] = [latent.axes.indexOf(state.across), latent.axes.indexOf(state.up)];
  const radius = scale * Math.max(1.5, Math.min(3, 90 / Math.sqrt(n)));
  ink.globalAlpha = 0.8;
  for (let k = 0; k < n; k++) {
    const label = labels ? labels[k] : 0, row = (label + 0.5 + 0.7 * ((k * 0.618) % 1 - 0.5)) / contents.colours.length;
    const y = flat ? (0.03 + 0.84 * row) * plane.height : toY(codes[j * n + k]);
    ink.fillStyle = colourOf(label);
    ink.beginPath();
    ink.arc(toX(codes[i * n + k]), y, radius, 0, 2 * Math.PI);
    ink.fill();
  }
}

// The decoded plane is a grid of images, drawn a few at a time from coarse to fine so that the pointer never waits.
// `of` is what `backdropOf` returned when the grid was begun.
const tiles = { wanted: false, left: [], side: 0, drawn: 0, of: null };

function restartTiles() {
  tiles.wanted = at("manifold").checked;
  if (!tiles.wanted) return;
  tiles.side = Math.max(8, Math.min(20, Math.floor(1200 / Math.max(width, height))));
  const lines = flat ? 1 : tiles.side, size = [tiles.side * width, lines * height];
  if (behind.width !== size[0] || behind.height !== size[1]) [behind.width, behind.height] = size;
  tiles.left = [];
  for (let line = 0; line < lines; line++) for (let i = 0; i < tiles.side; i++) tiles.left.push([i, line]);
  tiles.left.sort((a, b) => order(b) - order(a)); // the last one is drawn first
  function order([i, line]) { return (i % 2 || line % 2 ? 1e4 : 0) + Math.hypot(i - tiles.side / 2, line - lines / 2); }
  clearTimeout(tiles.timer);
  drawTiles();
}

function drawTiles() {
  const start = performance.now(), ink = behind.getContext("2d");
  if (!tiles.wanted || !tiles.left.length) return;
  do {
    const [i, line] = tiles.left.pop();
    const image = decode(codeAt((i + 0.5) / tiles.side, (line + 0.5) / tiles.side));
    ink.putImageData(channels < 3 ? asInk(image) : asImageData(image), i * width, line * height);
    tiles.drawn++;
  } while (tiles.left.length && performance.now() - start < 9);
  changed();
  tiles.timer = setTimeout(drawTiles, performance.now() - start); // leaves half of the time to the pointer
}

const stripHeight = () => plane.width / tiles.side * height / width; // of the row of decoded images below a line's dots

const tinted = document.createElement("canvas");

function inked(colour) { // the decoded plane in the colour of the page's text
  const version = [colour, tiles.of, tiles.drawn].join();
  if (tinted.version === version) return tinted;
  tinted.version = version;
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
    const tall = flat ? stripHeight() : side;
    sheet.globalAlpha = at("codes").checked && !flat ? (channels < 3 ? 0.36 : 0.55) : 1;
    sheet.drawImage(channels < 3 ? inked(ink) : behind, 0, side - tall, side, tall);
    sheet.globalAlpha = 1;
  }
  sheet.lineWidth = scale;
  drawAxes(style.getPropertyValue("--soft"), scale);
  if (at("codes").checked) sheet.drawImage(dots, 0, 0);
  const strokes = [[style.getPropertyValue("--card"), 4.5], [ink, 2]]; // a light edge, to be visible on anything
  if (state.posterior) for (const [colour, thick] of strokes) drawPosterior(colour, thick * scale);
  if (state.posterior && (state.posterior.draws || spreads(state.posterior))) drawMark(state.code, ink, 2 * scale, 0.5);
  else for (const [colour, thick] of strokes) drawMark(state.code, colour, thick * scale, 6);
  if (state.hover) for (const [colour, thick] of strokes) drawMark(state.hover, colour, thick * scale, 9);
}

function drawAxes(colour, scale) {
  const { reach, middle } = view();
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find(size => reach / size < 4) || reach;
  sheet.strokeStyle = sheet.fillStyle = colour;
  sheet.font = `${12 * scale}px system-ui, sans-serif`;
  if (latent.standard_normal && !flat && !tiles.wanted) {
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
  const number = value => String(Number(value.toFixed(2))).replace("-", "−");
  const low = plane.height - 14 * scale - (flat && tiles.wanted ? stripHeight() : 0);
  label(nameOfDimension(state.across), plane.width - 16 * scale, low);
  if (!flat) label(nameOfDimension(state.up), 18 * scale, 16 * scale);
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

const spreads = posterior => Boolean(posterior.variance || posterior.factor);

// The ellipse of one standard deviation: its half axes in units of z, and the angle of the longer one.
function ellipse(posterior) {
  const [a, b, c] = covariance(posterior, state.across, state.up);
  const mid = (a + c) / 2, away = Math.hypot((a - c) / 2, b), short = Math.sqrt(Math.max(0, mid - away));
  return { long: Math.sqrt(mid + away), short, angle: Math.atan2(2 * b, a - c) / 2 };
}

function drawPosterior(colour, thick) {
  const { posterior } = state, unit = plane.width / (2 * view().reach);
  sheet.strokeStyle = sheet.fillStyle = colour;
  sheet.lineWidth = thick;
  if (posterior.draws) {
    for (let i = 0; i < posterior.draws.length; i += latent.dimensions) {
      const [x, y] = [toX(posterior.draws[i + state.across]), toY(posterior.draws[i + state.up])];
      sheet.beginPath();
      sheet.arc(x, y, thick * 0.9, 0, 2 * Math.PI);
      sheet.fill();
    }
  } else if (spreads(posterior)) {
    const { long, short, angle } = ellipse(posterior), x = toX(posterior.mean[state.across]);
    const y = toY(posterior.mean[state.up]);
    for (const deviations of [1, 2]) {
      const [wide, tall] = [deviations * long * unit, deviations * short * unit];
      sheet.globalAlpha = deviations === 1 ? 1 : 0.6;
      sheet.beginPath();
      if (flat) for (const end of [x - wide, x + wide]) {
        sheet.moveTo(end, 0);
        sheet.lineTo(end, plane.height);
      }
      else sheet.ellipse(x, y, wide, tall, -angle, 0, 2 * Math.PI);
      sheet.stroke();
    }
    sheet.globalAlpha = 1;
  }
}
