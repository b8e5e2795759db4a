
// Buttons, sliders and lists, made of what the run has.

function fillStrip() {
  const strip = at("strip"), n = pictures.length / (channels * pixels);
  for (let i = 0; i < n; i++) {
    const button = document.createElement("button"), canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    show(canvas, unitPicture(i));
    button.type = "button";
    button.tabIndex = i ? -1 : 0;
    button.setAttribute("aria-label", `test image ${i + 1}` + (pictureLabels ? `: ${nameOf(i)}` : ""));
    button.addEventListener("click", () => pick(i));
    button.append(canvas);
    strip.append(button);
  }
  strip.addEventListener("keydown", event => { // one stop of the tab key; arrows go on from there
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    const next = strip.children[[...strip.children].indexOf(event.target) + step];
    if (!next) return;
    event.preventDefault();
    [event.target.tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  });
}

const MOST_BUTTONS = 64; // one for each class

function fillClasses() {
  const box = at("classes");
  if (told.condition !== "labels") return;
  box.hidden = false;
  if (told.classes.length > MOST_BUTTONS) {
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
  const shown = told.classes.slice(0, 48);
  at("legend").replaceChildren();
  shown.forEach((name, i) => {
    const item = document.createElement("li"), dot = document.createElement("span");
    dot.style.background = colourOf(i);
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
    const row = document.createElement("label"), name = document.createElement("span");
    const range = document.createElement("input"), value = document.createElement("output");
    const amount = document.createElement("span"), bar = document.createElement("i");
    row.className = "slider";
    name.textContent = nameOfDimension(d);
    Object.assign(range, { type: "range", min: Math.min(told.low[d], -1), max: Math.max(told.high[d], 1), step: 0.01 });
    amount.className = "amount";
    bar.style.width = `${most > 0 ? 100 * Math.max(0, told.amounts[d] / most) : 0}%`;
    amount.append(bar);
    amount.title = `${told.measure} ${told.amounts[d].toFixed(2)}`;
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
  more.textContent = `${others.length} more`;
  more.onclick = () => { others.forEach(add); more.hidden = true; changed(); };
}

function fillAxes() {
  at("axes").hidden = told.latent < 3;
  for (const [id, which] of [["across", "across"], ["up", "up"]]) {
    const select = at(id);
    for (const d of told.axes) select.append(new Option(nameOfDimension(d), d));
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
