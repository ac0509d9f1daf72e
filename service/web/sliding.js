// One map enlarged beside what its layer reads, and the window between them: moved by hand, by keys, or played.

import { drawArithmetic, isTraced } from "./arithmetic.js";
import { drawMap, highest, rangeOf } from "./colours.js";
import { byId, element } from "./elements.js";
import { coverAfter, drawPlan, placeAt } from "./plan.js";
import { inputShape, mapsRead } from "./reading.js";
import { fixed, text } from "./texts.js";
import { alongEdge, edgesOf, isPooling, isWindowed } from "./windows.js";
import { agree, firstRead, largest, windowAt, workOut } from "./working.js";

const NO_EDGES = [{ before: 0, after: 0 }, { before: 0, after: 0 }];
const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
// The whole of a map is played in about so long, but no place is too short to be seen.
const PLAYED_MS = 60_000;
const SHORTEST_MS = 70;
const LONGEST_MS = 500;

/** What is enlarged: { layer, number, rows, range, edges, along, maps, kernels, sure, place, trace, ask }. */
let open = null;
let timer = null;

/**
 * Enlarge map `number` of a layer, at its largest value; `outer` is {model, given}.
 *
 * `ask(row, column)` resolves to the service's trace or null, `askKernels()` to the layer's kernels or null.
 */
export function enlarge(outer, layer, number, rows, range, ask, askKernels) {
  pause();
  const read = isWindowed(layer) ? inputShape(layer, outer.model.summary) : null;
  const edges = read && edgesOf(layer);
  const along = read && edges.map((edge, axis) => alongEdge(read[axis], edge));
  const known = read && along[0].count === rows.length && along[1].count === rows[0].length;
  const maps = known ? mapsRead(layer, outer.model, outer.given) : null;
  const own = { layer, number, rows, range, edges, along, maps, read: known ? read : null, kernels: null, sure: false, trace: null, ask };
  open = own;
  byId("detail").hidden = false;
  byId("detail-title").textContent = text("map", { number, layer: layer.name });
  byId("arithmetic").replaceChildren();
  byId("reads").hidden = byId("play").hidden = !known;
  byId("kernel-part").hidden = true;
  byId("row").max = rows.length - 1;
  byId("column").max = rows[0].length - 1;
  byId("play").textContent = text(isStill() ? "stepOn" : "play");
  offerChannels();
  settle(largest(rows));
  if (known && layer.type === "Conv2D") {
    askKernels().then((kernels) => {
      if (!kernels || own !== open) return;
      own.kernels = kernels;
      offerChannels();
      if (!timer) draw(own.place);
      compare();
    });
  }
}

/** Whether the person wants no motion; then the window is moved a place at a time. */
const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Which of the maps that are read is shown; of a convolution the person chooses. */
function offerChannels() {
  const { layer, number, maps, kernels } = open;
  const field = byId("reads-channel");
  const channels = kernels ? kernels.kernels[number].length : 1;
  const first = kernels ? firstRead(layer, channels, number) : 0;
  const chosen = kernels && maps ? strongest(channels) : 0;
  field.replaceChildren(...Array.from({ length: channels }, (_, channel) => element("option", { value: channel, selected: channel === chosen }, String(first + channel))));
  byId("reads-label").hidden = channels < 2;
  field.onchange = () => show(open.place, false);
}

/** The channel that speaks most at the place where the map is opened. */
function strongest(channels) {
  const own = workOut(open.layer, open, open.number, open.place, 0);
  const sums = Array.from({ length: channels }, (_, channel) => Math.abs(own.products[channel].flat().reduce((sum, each) => sum + each, 0)));
  return sums.indexOf(Math.max(...sums));
}

/** Of the maps that a layer reads, [the first, how many] go into its map `number`. */
function mapsOfOne(layer, read, number) {
  if (isPooling(layer)) return [number, 1];
  if (layer.type === "DepthwiseConv2D") return [Math.floor(number / (layer.output_shape[2] / read[2])), 1];
  const count = read[2] / (layer.groups ?? 1);
  return [firstRead(layer, count, number), count];
}

/** Draw both maps with the window for `place`; `partly` covers what is not reached yet. */
function draw(place, partly = false) {
  const { layer, number, rows, range, edges, along, maps, read, kernels } = open;
  const [row, column] = place;
  const canvas = byId("map");
  drawPlan(canvas, rows, range, NO_EDGES, { rows: [row], columns: [column] });
  if (partly) coverAfter(canvas, rows, place);
  byId("map-text").textContent = text("madeHere", { row: String(row), column: String(column), value: fixed(rows[row][column], 4) });
  if (!read) return;
  const channel = Number(byId("reads-channel").value);
  const [first, count] = mapsOfOne(layer, read, number);
  const at = kernels ? Number(byId("reads-channel").selectedOptions[0].textContent) : first;
  const plain = maps?.[at] ?? Array.from({ length: read[0] }, () => new Array(read[1]).fill(0));
  drawPlan(byId("reads-map"), plain, maps ? rangeOf(maps) : { limit: 1, negative: false }, along, windowAt(edges, along, row, column));
  const words = kernels || count === 1 ? "readHere" : "readSeveral";
  byId("reads-text").textContent = text(maps ? words : "readElsewhere", { number: String(at), last: String(first + count - 1) });
  byId("kernel-part").hidden = !kernels;
  if (!kernels) return;
  const all = kernels.kernels[number];
  drawMap(byId("kernel"), all[channel], { limit: highest(all.flat()), negative: true });
}

/** Show a place while it is moved over: worked out here, where the service agreed with that once. */
function show(place, partly) {
  draw(place, partly);
  byId("arithmetic").ariaLive = "off";
  const value = open.rows[place[0]][place[1]];
  const worked = open.sure ? workOut(open.layer, open, open.number, place, value) : null;
  write(worked ?? { kind: "value", value, type: isTraced(open.layer) ? null : open.layer.type }, worked?.kernel && [Number(byId("reads-channel").value)]);
}

/** Write a trace out, with the numbers that the maps have in the whole of what is read. */
function write(trace, only = null) {
  drawArithmetic(trace, only, trace.kernel ? firstRead(open.layer, trace.kernel.length, open.number) : 0);
}

/** Stay at a place, and ask the service how its value comes about. */
async function settle(place) {
  const own = open;
  own.place = place;
  own.trace = null;
  [byId("row").value, byId("column").value] = place;
  draw(place);
  byId("arithmetic").ariaLive = "polite";
  const value = own.rows[place[0]][place[1]];
  if (isTraced(own.layer)) byId("arithmetic").replaceChildren(element("p", {}, text("waiting"))); // not that of the place before
  const trace = isTraced(own.layer) ? await own.ask(...place) : { kind: "value", value, type: own.layer.type };
  if (own !== open || own.place !== place) return;
  if (!trace) return byId("arithmetic").replaceChildren();
  own.trace = trace;
  compare();
  if (!timer) write(trace);
}

function compare() {
  const { layer, number, place, trace } = open;
  const worked = trace?.window ? workOut(layer, open, number, place, trace.value) : null;
  open.sure = worked !== null && agree(worked, trace);
}

function pause() {
  clearInterval(timer);
  timer = null;
  byId("play").textContent = text(isStill() ? "stepOn" : "play");
}

/** The place behind another one, row by row; null behind the last. */
function next([row, column]) {
  if (column + 1 < open.rows[0].length) return [row, column + 1];
  return row + 1 < open.rows.length ? [row + 1, 0] : null;
}

function play() {
  const places = open.rows.length * open.rows[0].length;
  if (!next(open.place)) open.place = [0, -1];
  byId("play").textContent = text("pause");
  const step = () => {
    const place = next(open.place);
    if (byId("detail").hidden) return pause();
    if (!place) return stop();
    open.place = place;
    show(place, true);
  };
  timer = setInterval(step, Math.max(SHORTEST_MS, Math.min(LONGEST_MS, PLAYED_MS / places)));
  step();
}

function stop() {
  pause();
  return settle([...open.place]);
}

/** Listen, once, to everything that moves the window. */
export function listenForPlaces() {
  const canvas = byId("map");
  byId("play").onclick = () => {
    if (timer) return stop();
    if (isStill()) return settle(next(open.place) ?? [0, 0]);
    return play();
  };
  for (const field of ["row", "column"]) {
    byId(field).onchange = () => {
      pause();
      settle(["row", "column"].map((each) => Math.max(0, Math.min(byId(each).max, Math.round(byId(each).valueAsNumber || 0)))));
    };
  }
  canvas.onpointerdown = (event) => {
    pause();
    canvas.setPointerCapture(event.pointerId);
    show(placeAt(canvas, open.rows, event), false);
  };
  canvas.onpointermove = (event) => {
    if (!timer && (event.buttons || event.pointerType === "mouse")) show(placeAt(canvas, open.rows, event), false);
  };
  canvas.onpointerup = (event) => settle(placeAt(canvas, open.rows, event));
  canvas.onpointerleave = canvas.onpointercancel = () => {
    if (timer) return;
    draw(open.place);
    if (open.trace) write(open.trace);
  };
  canvas.onkeydown = (event) => {
    const step = KEYS[event.key];
    if (!step) return;
    event.preventDefault();
    pause();
    const most = [open.rows.length, open.rows[0].length];
    open.place = open.place.map((at, axis) => Math.max(0, Math.min(most[axis] - 1, at + step[axis])));
    [byId("row").value, byId("column").value] = open.place;
    show(open.place, false);
  };
  canvas.onkeyup = (event) => event.key in KEYS && settle([...open.place]);
}
