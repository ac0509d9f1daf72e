// What a layer does, in sentences that follow its own numbers and shapes. Knows no page.

import { inputShape } from "./reading.js";
import { number, significant, text } from "./texts.js";
import { alongEdge, edgesOf, isPooling, isWindowed, reachOf } from "./windows.js";

const WHAT = {
  Conv2D: "whatConvolution",
  SeparableConv2D: "whatSeparable",
  DepthwiseConv2D: "whatDepthwise",
  MaxPooling2D: "whatMaximum",
  AveragePooling2D: "whatMean",
  GlobalAveragePooling2D: "whatGlobalMean",
  GlobalMaxPooling2D: "whatGlobalMaximum",
  BatchNormalization: "whatBatchNormalization",
  Add: "whatAdd",
  Multiply: "whatMultiply",
  Concatenate: "whatConcatenate",
  Reshape: "whatReshape",
  Resizing: "whatResizing",
  ZeroPadding2D: "whatZeroPadding",
  Rescaling: "whatRescaling",
  Normalization: "whatNormalization",
  Flatten: "whatFlatten",
  Dense: "whatDense",
  Dropout: "whatDropout",
  SpatialDropout2D: "whatSpatialDropout",
  PReLU: "whatPrelu",
  GaussianNoise: "whatNoise",
  GaussianDropout: "whatNoise",
  AlphaDropout: "whatNoise",
  RandomFlip: "whatAugmentation",
  RandomRotation: "whatAugmentation",
  RandomZoom: "whatAugmentation",
  RandomTranslation: "whatAugmentation",
  RandomContrast: "whatAugmentation",
  RandomBrightness: "whatAugmentation",
};
const ACTIVATIONS = {
  relu: "whatRelu",
  relu6: "whatRelu6",
  softmax: "whatSoftmax",
  sigmoid: "whatSigmoid",
  tanh: "whatTanh",
  silu: "whatSilu",
  swish: "whatSilu",
};

const times = (numbers) => numbers.join("×");
/** Height and width of maps, or null where they are no maps or vary. */
const sizeOf = (shape) => (shape?.length === 3 && !shape.slice(0, 2).includes(null) ? shape.slice(0, 2) : null);
const allEqual = (numbers, wanted) => numbers.every((each) => each === wanted);

/** All that is said of a layer, or, where its kind was explained before, what is its own. */
export function sentences(layer, summary, briefly = false) {
  const read = sizeOf(inputShape(layer, summary));
  const known = whatOf(layer);
  const values = { filters: number(layer.filters ?? 0), size: times(layer.kernel_size ?? layer.pool_size ?? []), maps: number(layer.output_shape.at(-1) ?? 0), groups: number(layer.groups ?? 1) };
  const said = [];
  if (briefly) said.push(`${layer.type}.`);
  else if (known) said.push(text(known.startsWith("whatGlobal") && !read ? `${known}OfAnySize` : known, { ...values, whole: times(read ?? []) }));
  if (isWindowed(layer)) said.push(...ofWindows(layer, read));
  if (isWindowed(layer) || ["ZeroPadding2D", "Resizing"].includes(layer.type)) said.push(...ofSizes(layer, read));
  if (!briefly) said.push(...ofActivation(layer));
  return said.length ? said.join(" ") : layer.type;
}

/** What kind of layer it is to whoever explains it: two of one class may do different things. */
export const kindOf = (layer) => whatOf(layer) ?? layer.type;

/** The first sentence of a kind of layer, by its key. */
function whatOf(layer) {
  if (layer.type === "Conv2D" && layer.groups > 1) return "whatGrouped";
  if (layer.type === "Dense" && layer.output_shape.length > 1) return "whatDenseInPlace";
  return WHAT[layer.type];
}

/** What padding, stride and dilation do. */
function ofWindows(layer, read) {
  const edges = edgesOf(layer);
  const sizes = edges.map(({ size }) => size);
  const strides = edges.map(({ stride }) => stride);
  const dilations = edges.map(({ dilation }) => dilation);
  const said = [];
  const reaches = edges.map(reachOf);
  if (times(reaches) !== times(sizes)) said.push(text("whatDilation", { size: times(sizes), rate: times(dilations), reach: times(reaches) }));
  const padded = read && edges.some((edge, axis) => alongEdge(read[axis], edge).before + alongEdge(read[axis], edge).after > 0);
  if (layer.type === "Conv2D" && !(layer.groups > 1) && allEqual(sizes, 1) && allEqual(strides, 1)) said.push(text("whatOnePlace"));
  else if (padded) said.push(text(isPooling(layer) ? "whatSamePooling" : "whatSame"));
  else if (layer.padding === "valid" && !isPooling(layer)) said.push(text("whatValid"));
  if (!allEqual(strides, 1)) said.push(areHalves(strides, read, sizeOf(layer.output_shape)) ? text("whatHalved") : text("whatStride", { stride: times(strides) }));
  return said;
}

/** Whether strides of 2 make halves of what is read, rounded up or down. */
function areHalves(strides, read, made) {
  return allEqual(strides, 2) && read !== null && made !== null && read.every((extent, axis) => extent > 1 && Math.abs(extent / 2 - made[axis]) < 1);
}

/** What became of the size. */
function ofSizes(layer, read) {
  const made = sizeOf(layer.output_shape);
  if (!read || !made) return [];
  const [from, to] = [read, made].map(times);
  return [from === to ? text("whatSizeKept", { size: to }) : text("whatSizeChanged", { from, to })];
}

function ofActivation(layer) {
  if (layer.type === "ReLU" || layer.type === "LeakyReLU") {
    const [slope, most, least] = [layer.negative_slope, layer.max_value, layer.threshold].map((value) => significant(value ?? 0));
    const values = { slope, most, least };
    const below = !layer.negative_slope ? "whatRelu" : layer.threshold ? "whatLeakyBelow" : "whatLeaky";
    return [text(below, values), layer.max_value !== null && text("whatCapped", values)].filter(Boolean);
  }
  const name = layer.type === "Softmax" ? "softmax" : layer.activation;
  if (!name || name === "linear") return [];
  if (name === "softmax" && layer.output_shape.length > 1) return [text("whatSoftmaxInPlace")];
  return [text(ACTIVATIONS[name] ?? "whatActivation", { name, least: "0" })];
}
