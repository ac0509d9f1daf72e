// The network from left to right, each stage with the maps of this picture. Knows no calls.

import { drawMap, highest } from "./colours.js";
import { byId, element, press, rove } from "./elements.js";
import { number, text } from "./texts.js";

// One scale for all maps, so that a pooling is seen to halve them; smaller for networks of larger pictures.
const LARGEST_MAP = 56;
const MOST_MAPS = 64;
const STRIP_HEIGHT = 448;

const WHAT = {
  Conv2D: "whatConvolution",
  DepthwiseConv2D: "whatConvolution",
  MaxPooling2D: "whatMaximum",
  AveragePooling2D: "whatMean",
  Flatten: "whatFlatten",
  Dense: "whatDense",
  Dropout: "whatDropout",
};

/** Draw the stages of `summary`; with `outputs`, by layer name, and the input's canvas, what came out of each. */
export function drawStages(summary, outputs, seen, classNames, choose) {
  const stages = byId("stages");
  const scale = LARGEST_MAP / Math.max(summary.input_shape[0], summary.input_shape[1]);
  stages.replaceChildren(inputStage(summary, seen, scale));
  let vector = null;
  summary.layers.forEach((layer, place) => {
    const output = outputs?.[layer.name];
    const last = place === summary.layers.length - 1;
    if (layer.type === "Flatten") vector = outputs?.[summary.layers[place - 1]?.name];
    stages.append(stageOf(layer, output, vector, { scale, last, classNames, choose }));
  });
}

function inputStage(summary, seen, scale) {
  const [height, width] = summary.input_shape;
  const picture = element("canvas", { className: "strip", role: "img", "aria-label": text("input") });
  picture.width = width;
  picture.height = height;
  Object.assign(picture.style, { width: `${width * scale}px`, height: `${height * scale}px` });
  if (seen) picture.getContext("2d").drawImage(seen, 0, 0, width, height);
  return stage(text("input"), [summary.input_shape.join("×")], picture, text("whatInput"));
}

function stageOf(layer, output, vector, { scale, last, classNames, choose }) {
  const facts = [layer.output_shape.join("×")];
  if (layer.parameters) facts.push(text("parameters", { count: number(layer.parameters) }));
  if (layer.kernel_size) facts.push(text("kernel", { size: layer.kernel_size.join("×"), padding: layer.padding }));
  if (layer.pool_size) facts.push(text("window", { size: layer.pool_size.join("×") }));
  if (layer.strides) facts.push(text("stride", { size: layer.strides.join("×") }));
  if (layer.activation && layer.activation !== "linear") facts.push(layer.activation);
  if (layer.dropout !== null) facts.push(text("dropped", { share: number(layer.dropout * 100) }));
  let picture = null;
  if (output?.maps) picture = mapGrid(layer, output, scale, choose);
  else if (output?.values && last) picture = classBars(output.values, classNames);
  else if (output?.values) picture = strip(output.values);
  else if (layer.type === "Flatten" && vector?.maps) picture = strip(flattened(vector.maps));
  const key = last && layer.activation === "softmax" ? "whatSoftmax" : WHAT[layer.type];
  return stage(layer.name, facts, picture, key ? text(key) : layer.type);
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

function mapGrid(layer, output, scale, choose) {
  const shown = output.maps.length > MOST_MAPS ? output.strongest.slice(0, MOST_MAPS) : output.maps.map((_, place) => place);
  const columns = shown.length > 32 ? 8 : Math.min(4, shown.length);
  const grid = element("div", { className: "maps", role: "group", "aria-label": text("mapsOf", { layer: layer.name }) });
  grid.style.gridTemplateColumns = `repeat(${columns}, max-content)`;
  const limit = Math.max(...output.maps.map(highest));
  for (const place of shown) {
    const canvas = element("canvas");
    drawMap(canvas, output.maps[place], limit);
    Object.assign(canvas.style, { width: `${canvas.width * scale}px`, height: `${canvas.height * scale}px` });
    const name = text("map", { number: place, layer: layer.name });
    const button = element("button", { title: name, "aria-label": name, "aria-pressed": "false" }, canvas);
    button.addEventListener("click", () => {
      press(button, byId("stages"));
      choose(layer, place, output.maps[place], limit);
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
  drawMap(canvas, rows, highest([values]));
  Object.assign(canvas.style, { width: `${Math.max(16, width * 4)}px`, height: `${height * 4}px` });
  return canvas;
}

function classBars(values, classNames) {
  const list = element("div", { className: "output" });
  values.slice(0, 20).forEach((value, index) => {
    const bar = element("div", { className: "bar" });
    bar.style.width = `${100 * value}%`;
    list.append(element("div", {}, element("span", {}, `${classNames[index]} ${number(100 * value, 1)}%`), bar));
  });
  return list;
}
