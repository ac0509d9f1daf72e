// How the size of what a layer makes follows from its input, kernel, stride and padding: sliders, a formula, a drawing.

import { drawPlan, ruleOff } from "./plan.js";
import { byId, element } from "./elements.js";
import { inputShape } from "./reading.js";
import { text } from "./texts.js";
import { alongEdge, edgesOf, isPooling, isWindowed, placesOf, reachOf } from "./windows.js";

const LARGEST = { size: 64, kernel: 11, stride: 6 };
const FIELDS = Object.keys(LARGEST);
let summary = null;

/** The layers that have such sizes. */
const fitting = () => summary.layers.filter((layer) => isWindowed(layer) && inputShape(layer, summary)?.length === 3);

/** Offer the layers of a model; the first of them is shown, or the one that was. */
export function offerSizes(own) {
  summary = own;
  const layers = summary ? fitting() : [];
  byId("sizes").hidden = !layers.length;
  if (!layers.length) return;
  const field = byId("sizes-layer");
  const chosen = layers.some(({ name }) => name === field.value) ? field.value : layers[0].name;
  field.replaceChildren(...layers.map(({ name }) => element("option", { value: name, selected: name === chosen }, name)));
  showSizesOf(chosen);
}

/** Whether its stride has to stay 1: Keras takes no Conv2D that has both gaps and a larger stride. */
const keepsStride = (layer) => layer.type === "Conv2D" && layer.dilation_rate?.some((rate) => rate > 1);

/** Set the sliders to the real numbers of a layer, where it has such. */
export function showSizesOf(name) {
  const layer = fitting().find((each) => each.name === name);
  if (!layer) return;
  byId("sizes-layer").value = name;
  const [high, wide] = edgesOf(layer);
  const read = inputShape(layer, summary);
  // Where height and width differ they are looked at one by one.
  byId("sizes-axis-label").hidden = read[0] === read[1] && JSON.stringify(high) === JSON.stringify(wide);
  if (byId("sizes-axis-label").hidden) byId("sizes-axis").value = "0";
  const axis = Number(byId("sizes-axis").value);
  const edge = [high, wide][axis];
  const real = { size: read[axis], kernel: edge.size, stride: edge.stride };
  for (const key of FIELDS) {
    const most = key === "stride" && keepsStride(layer) ? 1 : LARGEST[key];
    byId(`sizes-${key}`).max = Math.max(most, real[key] ?? 0);
    byId(`sizes-${key}`).value = real[key] ?? 28;
  }
  byId("sizes-padding").value = edge.padding;
  draw();
}

/** Write how many places come out along an edge of so many, with the numbers of it. */
export function formula(extent, edge) {
  const { count, before, after } = alongEdge(extent, edge);
  const reach = reachOf(edge);
  if (edge.padding === "same") {
    const padded = before + after ? text("sizesPadded", { before, after, extent, reach, stride: edge.stride }) : text("sizesNotPadded");
    return `⌈${extent} / ${edge.stride}⌉ = ${count}. ${padded}`;
  }
  if (!count) return text("sizesNone", { reach, extent });
  const unread = extent - (count - 1) * edge.stride - reach;
  return `⌊(${extent} − ${reach}) / ${edge.stride}⌋ + 1 = ${count}. ${unread > 0 ? text("sizesUnread", { unread }) : text("sizesAllRead")}`;
}

function chosen() {
  const [extent, size, stride] = FIELDS.map((key) => byId(`sizes-${key}`).valueAsNumber);
  const layer = fitting().find(({ name }) => name === byId("sizes-layer").value);
  const dilation = isPooling(layer) ? 1 : edgesOf(layer)[Number(byId("sizes-axis").value)].dilation;
  return [extent, { size, stride, dilation, padding: byId("sizes-padding").value }];
}

function draw() {
  const [extent, edge] = chosen();
  for (const key of FIELDS) byId(`sizes-${key}-value`).textContent = byId(`sizes-${key}`).value;
  const along = alongEdge(extent, edge);
  const both = (count) => (byId("sizes-axis-label").hidden ? `${count}×${count}` : String(count));
  byId("sizes-result").textContent = text("sizesResult", { from: both(extent), to: both(along.count) });
  byId("sizes-formula").textContent = formula(extent, edge);
  const gaps = edge.dilation > 1 ? [text("sizesDilation", { dilation: edge.dilation, size: edge.size, reach: reachOf(edge) })] : [];
  if (byId("sizes-stride").max === "1") gaps.push(text("sizesStrideStays"));
  byId("sizes-dilation").textContent = gaps.join(" ");
  // Hardly any gap of strides is seen in a large input, so where each window begins is marked.
  const starts = new Set(Array.from({ length: along.count }, (_, place) => placesOf(place, edge, along.before)[Math.floor(edge.size / 2)]));
  const shade = (places) => Array.from({ length: extent }, (_, y) => Array.from({ length: extent }, (_, x) => (places.has(y) && places.has(x) ? 0.7 : 0.25)));
  const first = placesOf(0, edge, along.before);
  drawPlan(byId("sizes-in"), shade(starts), { limit: 1, negative: false }, [along, along], along.count ? { rows: first, columns: first } : null);
  ruleOff(byId("sizes-in"), extent + along.before + along.after);
  byId("sizes-out").hidden = !along.count;
  if (!along.count) return;
  const made = Array.from({ length: along.count }, () => new Array(along.count).fill(0.7));
  const none = { before: 0, after: 0 };
  drawPlan(byId("sizes-out"), made, { limit: 1, negative: false }, [none, none], { rows: [0], columns: [0] });
  ruleOff(byId("sizes-out"), along.count);
  byId("sizes-out").style.width = `${(100 * along.count) / Math.max(along.count, extent + along.before + along.after)}%`;
}

/** Listen, once, to the sliders. */
export function listenForSizes() {
  for (const id of [...FIELDS, "padding"]) byId(`sizes-${id}`).addEventListener("input", draw);
  byId("sizes-layer").addEventListener("change", ({ target }) => showSizesOf(target.value));
  byId("sizes-axis").addEventListener("change", () => showSizesOf(byId("sizes-layer").value));
  byId("sizes-real").addEventListener("click", () => showSizesOf(byId("sizes-layer").value));
}
