// The network from left to right, each stage with the maps of this picture. Knows no calls.

import { drawMap, highest, rangeOf } from "./colours.js";
import { byId, element, press, rove } from "./elements.js";
import { kindOf, sentences } from "./sentences.js";
import { number, percent, text } from "./texts.js";

// One scale for all maps, so that a pooling is seen to halve them; of networks of larger pictures the smallest are
// larger than that, or nobody would see them.
const LARGEST_MAP = 56;
const LEAST_MAP = 24;
const MOST_MAPS = 64;
const MOST_CLASSES = 20;
const STRIP_HEIGHT = 448;
// The numbers may have been rounded to six decimals on their way: none is exactly 0 or 1 for certain.
const ROUNDED = 1e-7;

/** Whether all maps of `summary` are drawn in one scale. */
export const isToScale = (summary) => Math.max(summary.input_shape[0], summary.input_shape[1]) <= LARGEST_MAP;

/** Draw the stages of `layers`, the first of them behind the input. Returns where the output of each goes, by name. */
export function drawStages({ summary, card }, layers, seen) {
  const places = new Map(layers.map((layer) => [layer.name, element("div")]));
  // Of a long network each kind of layer is explained once.
  const first = (layer, place) => isToScale(summary) || layers.findIndex((each) => kindOf(each) === kindOf(layer)) === place;
  byId("stages").replaceChildren(
    ...(layers[0] === summary.layers[0] ? [inputStage(summary, card.input, seen)] : []),
    ...layers.map((layer, place) => stageOf(layer, places.get(layer.name), sentences(layer, summary, !first(layer, place)))),
  );
  return places;
}

/** Show in `place` what a layer made; `read` are the maps that a Flatten reads, or null. */
export function showOutput(place, layer, output, read, { summary, card }, choose) {
  const last = layer === summary.layers.at(-1);
  let picture = null;
  if (output instanceof Blob) picture = drawn(layer, output);
  else if (output?.maps) picture = mapGrid(layer, output, summary, choose);
  else if (output?.values && last && output.values.length === card.class_names.length) picture = classBars(layer, output, card.class_names);
  else if (output?.values) picture = strip(output.values);
  else if (read) picture = strip(flattened(read));
  place.replaceChildren(...(picture ? [picture] : []));
}

function sizeOf(summary, height, width) {
  const scale = LARGEST_MAP / Math.max(summary.input_shape[0], summary.input_shape[1]);
  const grow = isToScale(summary) ? 1 : Math.max(1, LEAST_MAP / (scale * Math.max(height, width)));
  return { width: `${width * scale * grow}px`, height: `${height * scale * grow}px` };
}

function inputStage(summary, { scale, offset }, seen) {
  const [height, width] = summary.input_shape;
  const picture = element("canvas", { className: "strip", role: "img", "aria-label": text("input"), width, height });
  Object.assign(picture.style, sizeOf(summary, height, width));
  if (seen) picture.getContext("2d").drawImage(seen, 0, 0, width, height);
  const plain = typeof scale === "number" && typeof offset === "number";
  const what = plain ? text("whatInput", { black: number(offset, 2), white: number(255 * scale + offset, 2) }) : text("whatInputByColour");
  return stage(text("input"), [summary.input_shape.join("×")], picture, what);
}

function stageOf(layer, place, what) {
  const facts = [layer.output_shape.join("×")];
  if (layer.parameters) facts.push(text("parameters", { count: number(layer.parameters) }));
  if (layer.kernel_size) facts.push(text("kernel", { size: layer.kernel_size.join("×") }));
  if (layer.pool_size) facts.push(text(layer.type.includes("Average") ? "averagePooling" : "maxPooling", { size: layer.pool_size.join("×") }));
  if (layer.strides) facts.push(text("stride", { size: layer.strides.join("×") }));
  if (layer.dilation_rate?.some((rate) => rate > 1)) facts.push(text("dilation", { rate: layer.dilation_rate.join("×") }));
  if (layer.groups > 1) facts.push(text("groups", { count: number(layer.groups) }));
  if (layer.padding && (layer.kernel_size || layer.pool_size)) facts.push(text("paddingOf", { padding: layer.padding }));
  if (layer.activation && layer.activation !== "linear") facts.push(layer.activation);
  if (layer.dropout !== null) facts.push(text("dropped", { share: number(layer.dropout * 100, 2) }));
  return stage(layer.name, facts, place, what);
}

function stage(title, facts, picture, what) {
  return element(
    "section",
    { className: "stage" },
    element("h3", {}, title),
    ...facts.map((fact) => element("p", { className: "facts" }, fact)),
    picture,
    element("p", { className: "what" }, what),
  );
}

function mapGrid(layer, output, summary, choose) {
  const shown = output.maps.length > MOST_MAPS ? output.strongest.slice(0, MOST_MAPS) : output.maps.map((_, place) => place);
  const columns = shown.length > 32 ? 8 : Math.min(4, shown.length);
  const grid = element("div", { className: "maps", role: "group", "aria-label": text("mapsOf", { layer: layer.name }) });
  grid.style.gridTemplateColumns = `repeat(${columns}, max-content)`;
  const range = rangeOf(output.maps);
  for (const place of shown) {
    const canvas = element("canvas");
    const rows = output.maps[place];
    drawMap(canvas, rows, range);
    Object.assign(canvas.style, sizeOf(summary, canvas.height, canvas.width));
    const name = text("map", { number: place, layer: layer.name });
    const button = element("button", { title: name, "aria-label": name, "aria-pressed": "false" }, canvas);
    button.addEventListener("click", () => {
      press(button, byId("stages"));
      choose(layer, place, rows, range);
    });
    grid.append(button);
  }
  rove(grid, columns);
  return grid;
}

/** In Keras's order: row by row, in each place all channels. */
function flattened(maps) {
  return maps[0].flatMap((row, y) => row.flatMap((_, x) => maps.map((map) => map[y][x])));
}

/** A vector as a column of cells, as many beside each other as needed to be seen. */
function strip(values) {
  const height = Math.min(values.length, STRIP_HEIGHT / 4);
  const width = Math.ceil(values.length / height);
  const rows = Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => values[y * width + x] ?? 0));
  const canvas = element("canvas", { className: "strip", role: "img", "aria-label": text("values", { count: number(values.length) }) });
  drawMap(canvas, rows, rangeOf([[values]]));
  Object.assign(canvas.style, { width: `${Math.max(16, width * 4)}px`, height: `${height * 4}px` });
  return canvas;
}

/** The layer's own values: shares of a softmax or sigmoids, and otherwise scores. */
function classBars(layer, { values, strongest }, classNames) {
  const shares = layer.type === "Softmax" || ["softmax", "sigmoid"].includes(layer.activation);
  const shown = values.length > MOST_CLASSES ? strongest.slice(0, MOST_CLASSES) : values.map((_, index) => index);
  const most = shares ? 1 : highest([values]);
  const bars = shown.map((index) => {
    const bar = element("div", { className: "bar" });
    bar.style.width = `${Math.max(0, (100 * values[index]) / most)}%`;
    const value = shares ? percent(Math.max(ROUNDED, Math.min(1 - ROUNDED, values[index]))) : number(values[index], 2);
    return element("div", {}, element("span", {}, `${classNames[index]} ${value}`), bar);
  });
  const rest = values.length - shown.length;
  const note = rest ? element("p", { className: "what" }, text("otherClasses", { count: number(rest) })) : null;
  return element("div", { className: "output" }, ...bars, note);
}

/** What is too much to be sent as numbers. */
function drawn(layer, blob) {
  const picture = element("img", { className: "drawn", src: URL.createObjectURL(blob), alt: text("mapsOf", { layer: layer.name }) });
  picture.onload = () => URL.revokeObjectURL(picture.src);
  return element("div", { className: "what" }, picture, text("tooManyValues"));
}
