
// Fills the page with the run's pictures, classes, sliders and axes.

function fillStrip() {
  const strip = at("strip"), n = pictures.length / (channels * pixels);
  for (let i = 0; i < n; i++) {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    show(canvas, unitPicture(i));
    button.type = "button";
    button.tabIndex = i ? -1 : 0;
    button.setAttribute("aria-label", captionOf(i));
    button.addEventListener("click", () => pick(i));
    button.append(canvas);
    strip.append(button);
  }
  strip.addEventListener("keydown", event => { // the tab key stops once at the strip; arrow keys move within it
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    const next = strip.children[[...strip.children].indexOf(event.target) + step];
    if (!next) return;
    event.preventDefault();
    [event.target.tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  });
}

const MOST_BUTTONS = 64; // with more classes, a list to choose from

function fillClasses() {
  const box = at("classes");
  if (contents.condition !== "labels") return;
  box.hidden = false;
  if (contents.classes.length > MOST_BUTTONS) {
    const select = document.createElement("select");
    contents.classes.forEach((name, i) => select.append(new Option(name, i)));
    select.setAttribute("aria-label", "class");
    select.addEventListener("change", () => chooseLabel(Number(select.value)));
    box.append(select);
    return;
  }
  const chips = document.createElement("div");
  chips.className = "chips";
  contents.classes.forEach((name, i) => {
    const label = document.createElement("label"), text = document.createElement("span");
    const input = document.createElement("input");
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
  const shown = contents.classes.slice(0, 48);
  at("legend").replaceChildren();
  shown.forEach((name, i) => {
    const item = document.createElement("li"), dot = document.createElement("span");
    dot.style.background = colourOf(i);
    item.append(dot, name);
    at("legend").append(item);
  });
  if (shown.length < contents.classes.length) at("legend").append(`and ${contents.classes.length - shown.length} more`);
}

const FIRST = 12; // sliders that are shown before `more` is pressed

function fillSliders() {
  const box = at("sliders"), most = Math.max(...latent.amounts);
  box.replaceChildren();
  const rest = latent.order.filter(d => d !== state.across && d !== state.up);
  at("others").hidden = !rest.length;
  at("measure").textContent = latent.measure;
  const add = d => {
    const row = document.createElement("label"), name = document.createElement("span");
    const range = document.createElement("input"), value = document.createElement("output");
    const amount = document.createElement("span"), bar = document.createElement("i");
    row.className = "slider";
    name.textContent = nameOfDimension(d);
    const [min, max] = [Math.min(latent.low[d], -1), Math.max(latent.high[d], 1)];
    Object.assign(range, { type: "range", min, max, step: 0.01 });
    amount.className = "amount";
    bar.style.width = `${most > 0 ? 100 * Math.max(0, latent.amounts[d] / most) : 0}%`;
    amount.append(bar);
    amount.title = `${latent.measure} ${latent.amounts[d].toFixed(2)}`;
    range.addEventListener("input", () => {
      const z = state.code.slice();
      z[d] = Number(range.value);
      moveTo(z);
    });
    row.update = z => {
      if (document.activeElement !== range || !range.matches(":active")) range.value = z[d];
      value.textContent = asText(z[d]);
    };
    row.append(name, range, value, amount);
    box.append(row);
  };
  rest.slice(0, FIRST).forEach(add);
  const more = at("more"), others = rest.slice(FIRST);
  more.hidden = !others.length;
  more.textContent = `${others.length} more dimensions`;
  more.onclick = () => { others.forEach(add); more.hidden = true; changed(); };
}

function fillAxes() {
  at("axes").hidden = latent.dimensions < 3;
  for (const axis of ["across", "up"]) {
    const select = at(axis);
    for (const d of latent.axes) select.append(new Option(nameOfDimension(d), d));
    select.value = state[axis];
    select.addEventListener("change", () => {
      const other = axis === "across" ? "up" : "across", before = state[axis];
      state[axis] = Number(select.value);
      if (state[other] === state[axis]) { state[other] = before; at(other).value = before; }
      drawDots();
      fillSliders();
      changed();
    });
  }
}
