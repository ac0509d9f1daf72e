// One value worked out from maps and kernels that are here, in the form of the service's own trace. Knows no page.

import { isPooling, placesOf } from "./windows.js";

/** Which places of its input an output's place reads; `along` is `alongEdge` of height and width. */
export function windowAt(edges, along, row, column) {
  const [rows, columns] = [row, column].map((place, axis) => placesOf(place, edges[axis], along[axis].before));
  return { rows, columns };
}

/**
 * How the value of map `number` at a place comes about, or null where that cannot be worked out here.
 *
 * `maps` are what the layer reads and `value` is what it made there; `kernels` those of a convolution.
 */
export function workOut(layer, { maps, kernels, edges, along }, number, [row, column], value) {
  if (!maps || !(isPooling(layer) || kernels)) return null;
  const kernel = isPooling(layer) ? null : kernels.kernels[number];
  const channels = kernel ? kernel.length : 1;
  const first = firstRead(layer, channels, number);
  const { rows, columns } = windowAt(edges, along, row, column);
  const inside = rows.map((y) => columns.map((x) => maps[0][y]?.[x] !== undefined));
  const values = Array.from({ length: channels }, (_, channel) => rows.map((y) => columns.map((x) => maps[first + channel][y]?.[x] ?? 0)));
  const window = { rows, columns, inside, values };
  if (!kernel) {
    if (layer.type === "AveragePooling2D") return { kind: "mean", window, value };
    return { kind: "maximum", window, chosen: largest(values[0], inside), value };
  }
  const products = kernel.map((weights, channel) => weights.map((line, y) => line.map((weight, x) => weight * values[channel][y][x])));
  const bias = kernels.biases?.[number] ?? 0;
  const total = products.flat(2).reduce((sum, each) => sum + each, bias);
  return { kind: "convolution", window, kernel, products, bias, total, activation: layer.activation ?? "none", value };
}

/** The first map that map `number` is made of: a pooling reads its own, and with groups a filter those of its group. */
export function firstRead(layer, channels, number) {
  if (isPooling(layer)) return number;
  return Math.floor(number / (layer.filters / (layer.groups ?? 1))) * channels;
}

/** Whether what was worked out here is what the service has: same window, same sum. */
export function agree(own, trace) {
  const close = (a, b, size) => Math.abs(a - b) <= 1e-3 * (1 + size);
  const [mine, its] = [own, trace].map(({ window }) => window.values.flat(2));
  if (mine.length !== its.length || !mine.every((value, place) => close(value, its[place], Math.abs(value)))) return false;
  if (own.kind !== "convolution") return own.kind === trace.kind;
  const size = own.products.flat(2).reduce((sum, each) => sum + Math.abs(each), 0);
  return close(own.total, trace.total, size);
}

/** Row and column of the largest of some rows of numbers, of those that are `inside`; the middle where all are alike. */
export function largest(rows, inside) {
  let [best, least] = [null, Infinity];
  rows.forEach((line, y) =>
    line.forEach((value, x) => {
      if (inside && !inside[y][x]) return;
      if (best === null || value > rows[best[0]][best[1]]) best = [y, x];
      least = Math.min(least, value);
    }),
  );
  if (!inside && rows[best[0]][best[1]] === least) return [Math.floor(rows.length / 2), Math.floor(rows[0].length / 2)];
  return best;
}
