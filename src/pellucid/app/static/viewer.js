// The viewer: before and after, zoom, the pictures' strip, and a mask painted on the picture.
// It gets `element`, `props`, `trigger` and `watch` from the page; props.value is what view.py makes.
const find = (name) => element.querySelector(".pv-" + name);
const make = (tag, name, parent) => {
  const node = document.createElement(tag);
  node.className = name ? "pv-" + name : "";
  parent.append(node);
  return node;
};
const stage = find("stage"), cells = find("cells"), strip = find("rows"), split = find("split");
const MOST = 16;
let data = { pictures: [], cells: [] };
let zoom = 0, centre = [0.5, 0.5], shape = "", key = "", canvas = null, painted = "", ring = null, erasing = false, proposals = 0;
let cursor = [0.5, 0.5], strokes = [], held = false;

// --- where pictures lie: zoom 0 fits them in, else it is screen pixels for each picture pixel ---
const box = () => (data.part && images().length ? [images()[0].naturalWidth || 1, images()[0].naturalHeight || 1] : [data.width || 1, data.height || 1]);
const images = () => [...cells.querySelectorAll("img")];
const fitting = (cell) => Math.min(cell.clientWidth / box()[0], cell.clientHeight / box()[1], MOST);
const scaleIn = (cell) => zoom || fitting(cell);

function place() {
  for (const cell of cells.children) {
    const scale = scaleIn(cell), [width, height] = box().map((side) => side * scale);
    const left = cell.clientWidth / 2 - centre[0] * width, top = cell.clientHeight / 2 - centre[1] * height;
    for (const node of cell.querySelectorAll(".pv-layer > *")) {
      Object.assign(node.style, { width: width + "px", height: height + "px", left: left + "px", top: top + "px",
        imageRendering: scale >= 3 ? "pixelated" : "auto" });
    }
    const after = cell.querySelector(".pv-after"), handle = cell.querySelector(".pv-handle");
    if (after && handle) {
      after.style.clipPath = `inset(0 0 0 ${held ? 100 : split.value}%)`;
      handle.style.left = split.value + "%";
    }
    if (ring) {
      const size = Number(find("size").value) * scale * unit();
      Object.assign(ring.style, { width: size + "px", height: size + "px",
        left: left + cursor[0] * width - size / 2 + "px", top: top + cursor[1] * height - size / 2 + "px" });
    }
  }
  if (cells.firstChild) find("scale").textContent = Math.round(100 * scaleIn(cells.firstChild)) + " %";
}

function zoomBy(factor) {
  if (!cells.firstChild) return;
  const least = fitting(cells.firstChild), wished = scaleIn(cells.firstChild) * factor;
  zoom = wished <= least ? 0 : Math.min(wished, MOST);
  if (!zoom) centre = [0.5, 0.5];
  place();
}

function move(across, down) {
  centre = centre.map((share, axis) => Math.min(Math.max(share + [across, down][axis], 0), 1));
  place();
}

const at = (cell, event) => {
  const frame = cell.getBoundingClientRect(), scale = scaleIn(cell);
  return [(event.clientX - frame.left - cell.clientWidth / 2) / (box()[0] * scale) + centre[0],
          (event.clientY - frame.top - cell.clientHeight / 2) / (box()[1] * scale) + centre[1]];
};

// --- the mask: a canvas of the picture's size, painted where the picture is missing ---
const unit = () => Math.max(...box()) / 300;

const keep = () => {
  strokes.push(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height));
  if (strokes.length > 10) strokes.shift();
  find("back").disabled = false;
};

function paint(from, to) {
  const pen = canvas.getContext("2d");
  pen.globalCompositeOperation = erasing ? "destination-out" : "source-over";
  pen.strokeStyle = "#ff2d6f";
  pen.lineCap = "round";
  pen.lineWidth = Number(find("size").value) * unit();
  pen.beginPath();
  pen.moveTo(from[0] * canvas.width, from[1] * canvas.height);
  pen.lineTo(to[0] * canvas.width + 0.01, to[1] * canvas.height);
  pen.stroke();
}

function send() {
  const mask = document.createElement("canvas");
  [mask.width, mask.height] = [canvas.width, canvas.height];
  const pen = mask.getContext("2d");
  pen.drawImage(canvas, 0, 0);
  // White where anything is painted, black elsewhere.
  const pixels = pen.getImageData(0, 0, mask.width, mask.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const value = pixels.data[i + 3] > 127 ? 255 : 0;
    pixels.data.fill(value, i, i + 3);
    pixels.data[i + 3] = 255;
  }
  pen.putImageData(pixels, 0, 0);
  trigger("painted", { id: data.id, mask: mask.toDataURL("image/png") });
}

function load(target, source) {
  const image = new Image();
  image.onload = () => {
    const pen = target.getContext("2d");
    pen.drawImage(image, 0, 0, target.width, target.height);
    const pixels = pen.getImageData(0, 0, target.width, target.height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      const white = pixels.data[i] > 127;
      pixels.data.set(white ? [255, 45, 111, 255] : [0, 0, 0, 0], i);
    }
    pen.putImageData(pixels, 0, 0);
  };
  image.src = source;
}

// --- what is shown ---
function picture(cell, name, source, label) {
  const layer = make("div", "layer pv-" + name, cell), image = make("img", "", layer);
  image.alt = label + (data.name ? ": " + data.name : "");
  image.draggable = false;
  image.onload = place;
  image.src = source;
  return image;
}

function caption(cell, text, right) {
  make("span", right ? "label pv-right" : "label", cell).textContent = text;
}

function build() {
  cells.replaceChildren();
  ring = null;
  if (!data.pictures.length) return;
  const grid = data.cells.length > 1 && !data.preview && !data.painting;
  const number = grid ? data.cells.length + 1 : 1, columns = Math.ceil(Math.sqrt(number));
  cells.style.gridTemplate = `repeat(${Math.ceil(number / columns)}, 1fr) / repeat(${columns}, 1fr)`;
  const first = make("div", "cell", cells);
  // No place stays empty: the picture itself takes what is left of its row.
  first.style.gridColumn = `span ${1 + columns * Math.ceil(number / columns) - number}`;
  picture(first, "before", data.before, "Before");
  caption(first, "Before");
  const after = data.preview || (data.cells[0] && data.cells[0].url);
  if (grid) {
    for (const one of data.cells) {
      const cell = make("div", "cell", cells);
      cell.title = one.note;
      picture(cell, "only", one.url, one.label);
      caption(cell, one.time ? `${one.label} \u00b7 ${one.time}` : one.label);
      if (!data.part) Object.assign(make("a", "", cell), { textContent: "Download", href: one.file, download: one.name, ariaLabel: "Download " + one.label });
    }
  } else if (after && !data.painting) {
    picture(first, "after", after, data.preview ? "So far" : "After");
    caption(first, data.preview ? "So far" : "After", true);
    make("div", "handle", first);
  }
  if (data.painting) {
    first.classList.add("pv-painting");
    const layer = make("div", "layer pv-mask", first);
    if (painted !== data.id) {
      painted = data.id;
      strokes = [];
      canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [data.width, data.height];
      if (data.mask) load(canvas, data.mask);
    } else if (proposals !== data.proposals) {
      // What was painted before comes back with Undo stroke.
      keep();
      if (data.mask) load(canvas, data.mask);
    }
    proposals = data.proposals;
    layer.append(canvas);
    ring = make("div", "cursor", first);
  }
}

function show() {
  data = props.value && props.value.pictures ? props.value : { pictures: [], cells: [] };
  if (data.key !== key) {
    [key, zoom, centre] = [data.key, 0, [0.5, 0.5]];
  }
  const wanted = JSON.stringify([key, data.cells, data.painting, data.proposals, Boolean(data.preview)]);
  if (wanted !== shape) {
    shape = wanted;
    build();
  } else if (data.preview) {
    cells.querySelector(".pv-after img").src = data.preview;
  }
  const any = data.pictures.length > 0, compared = Boolean(cells.querySelector(".pv-handle"));
  find("empty").hidden = any;
  find("tools").hidden = !any;
  find("split-label").hidden = !compared;
  find("paint").hidden = !data.painting;
  find("part").disabled = data.busy;
  find("note").textContent = data.note || "";
  find("original").hidden = !compared;
  find("erase").hidden = data.busy;
  find("erase").setAttribute("aria-pressed", Boolean(data.painting));
  find("fill").disabled = !data.mask;
  find("back").disabled = !strokes.length;
  diagnosis();
  table();
  place();
}

// --- what is wrong with the picture, and what can be done ---
function diagnosis() {
  const found = data.diagnosis || { words: "", actions: [] }, wanted = JSON.stringify([found, data.busy]), box = find("actions");
  find("diagnosis").hidden = !data.pictures.length;
  if (box.dataset.shown === wanted) return;
  box.dataset.shown = wanted;
  const focus = box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  if (find("words").textContent !== found.words) find("words").textContent = found.words;
  box.replaceChildren();
  for (const one of found.actions) {
    const button = make("button", one.advised ? "advised" : "", box);
    Object.assign(button, { type: "button", textContent: one.label, disabled: data.busy });
    button.dataset.key = one.key;
    if (one.time) make("small", "", button).textContent = one.time;
    button.onclick = () => trigger("act", { id: data.id, key: one.key });
    if (one.key === focus) button.focus();
  }
}

function table() {
  const ids = JSON.stringify(data.pictures.map((one) => one.id));
  if (strip.dataset.ids !== ids) {
    strip.dataset.ids = ids;
    strip.replaceChildren();
    data.pictures.forEach((one) => {
      const row = make("tr", "row", strip), first = make("td", "", row), choose = make("button", "thumb", first);
      Object.assign(choose, { type: "button", title: one.name, ariaLabel: "Show " + one.name });
      choose.onclick = () => trigger("chosen", { id: one.id });
      Object.assign(make("img", "", choose), { src: one.thumb, alt: "" });
      make("td", "name", row).textContent = one.name;
      make("td", "state", row);
      const remove = make("button", "remove", make("td", "", row));
      Object.assign(remove, { type: "button", textContent: "\u00d7", ariaLabel: "Remove " + one.name });
      remove.onclick = () => trigger("removed", { id: one.id });
    });
  }
  data.pictures.forEach((one, index) => {
    const row = strip.children[index], cell = row.querySelector(".pv-state"), wanted = JSON.stringify([one.said, one.words, one.share]);
    row.querySelector(".pv-thumb").setAttribute("aria-current", index === data.current);
    row.querySelector(".pv-remove").disabled = data.busy;
    if (cell.dataset.shown === wanted) return;
    cell.dataset.shown = wanted;
    row.dataset.state = one.state;
    cell.replaceChildren();
    make("b", "", cell).textContent = one.said;
    if (one.state === "running") {
      const bar = make("progress", "", cell);
      Object.assign(bar, { max: 1, value: one.share || 0, ariaLabel: "Progress of " + one.name });
    } else if (one.words) make("span", "", cell).textContent = one.words;
  });
}

// --- hands ---
stage.addEventListener("pointerdown", (event) => {
  const cell = event.target.closest(".pv-cell");
  if (!cell || event.target.closest("a") || event.button > 1) return;
  stage.setPointerCapture(event.pointerId);
  const handle = event.target.closest(".pv-handle"), painting = data.painting && event.button === 0;
  let last = [event.clientX, event.clientY], spot = at(cell, event);
  if (painting) keep(), paint(spot, spot);
  stage.onpointermove = (moved) => {
    if (!cell.isConnected) return;
    const frame = cell.getBoundingClientRect(), scale = scaleIn(cell);
    if (handle) split.value = (100 * (moved.clientX - frame.left)) / frame.width;
    else if (painting) paint(spot, (spot = at(cell, moved)));
    else move((last[0] - moved.clientX) / (box()[0] * scale), (last[1] - moved.clientY) / (box()[1] * scale));
    last = [moved.clientX, moved.clientY];
    if (painting) cursor = spot;
    place();
  };
  stage.onpointerup = stage.onpointercancel = () => {
    stage.onpointermove = stage.onpointerup = stage.onpointercancel = null;
    if (painting) send();
  };
});
stage.addEventListener("wheel", (event) => {
  const cell = event.target.closest(".pv-cell");
  if (!cell) return;
  event.preventDefault();
  const before = at(cell, event);
  zoomBy(event.deltaY < 0 ? 1.25 : 0.8);
  if (zoom) {
    const after = at(cell, event);
    move(before[0] - after[0], before[1] - after[1]);
  }
}, { passive: false });
stage.addEventListener("keydown", (event) => {
  const step = 0.05, way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  if (event.target !== stage || event.ctrlKey || event.metaKey || event.altKey) return;
  if (way && data.painting && !event.shiftKey) {
    cursor = cursor.map((share, axis) => Math.min(Math.max(share + way[axis] / 5, 0), 1));
    place();
  } else if (way) move(...way);
  else if (event.key === "+" || event.key === "=") zoomBy(1.25);
  else if (event.key === "-") zoomBy(0.8);
  else if (event.key === "0") zoomBy(0);
  else if (event.key === " " && data.painting) { keep(); paint(cursor, cursor); send(); }
  else return;
  event.preventDefault();
});
split.addEventListener("input", place);
find("size").addEventListener("input", place);
const hold = (now) => { held = now; place(); };
find("original").onpointerdown = () => hold(true);
find("original").onpointerup = find("original").onpointerleave = find("original").onblur = () => hold(false);
const typing = (node) => node.closest("textarea, select, input:not([type=range]):not([type=file]), [contenteditable]");
const held_key = (event, now) => {
  if (event.key === " " && event.target === find("original")) event.preventDefault();
  else if (event.key.toLowerCase() !== "o" || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (held !== now) hold(now);
};
document.addEventListener("keydown", (event) => held_key(event, true));
document.addEventListener("keyup", (event) => held_key(event, false));
element.querySelector(".pv").addEventListener("pellucid-taken", () => trigger("taken", {}));
find("erase").onclick = () => trigger("paints", { id: data.id, on: !data.painting });
find("fill").onclick = () => trigger("act", { id: data.id, key: "fill" });
find("back").onclick = () => { if (strokes.length) { canvas.getContext("2d").putImageData(strokes.pop(), 0, 0); send(); } };
find("empty").onclick = () => document.querySelector("#pellucid-upload input[type=file]").click();
find("in").onclick = () => zoomBy(1.5);
find("out").onclick = () => zoomBy(1 / 1.5);
find("fit").onclick = () => zoomBy(0);
find("one").onclick = () => { zoom = 1; place(); };
find("part").onclick = () => trigger("part", { id: data.id, across: centre[0], down: centre[1] });
const press = (erase) => {
  erasing = erase;
  find("brush").setAttribute("aria-pressed", !erase);
  find("rubber").setAttribute("aria-pressed", erase);
};
find("brush").onclick = () => press(false);
find("rubber").onclick = () => press(true);
find("clear").onclick = () => { keep(); canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height); send(); };
new ResizeObserver(place).observe(stage);
watch("value", show);
show();
