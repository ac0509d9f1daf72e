// What a layer does, in sentences that follow its own numbers and shapes. Knows no page.

import { inputShape } from "./reading.js";
import { number, text } from "./texts.js";
import { edgesOf, isPooling, isWindowed, reachOf } from "./windows.js";

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
  Concatenate: "whatConcatenate",
  ZeroPadding2D: "whatZeroPadding",
  Rescaling: "whatRescaling",
  Normalization: "whatNormalization",
  Flatten: "whatFlatten",
  Dense: "whatDense",
  Dropout: "whatDropout",
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
const allEqual = (numbers, wanted) => numbers.every((each) => each === wanted);

/** All that is said of a layer, or, where its kind was explained before, what is its own. */
export function sentences(layer, summary, briefly = false) {
  const read = inputShape(layer, summary);
  const known = WHAT[layer.type];
  const values = { filters: number(layer.filters ?? 0), size: times(layer.kernel_size ?? layer.pool_size ?? []), maps: number(layer.output_shape.at(-1) ?? 0) };
  const whole = read?.length === 3 ? times(read.slice(0, 2)) : "?";
  const said = [];
  if (briefly) said.push(`${layer.type}.`);
  else if (known) said.push(text(known, { ...values, whole }));
  if (isWindowed(layer)) said.push(...ofWindows(layer));
  if (isWindowed(layer) || layer.type === "ZeroPadding2D") said.push(...ofSizes(layer, read));
  if (!briefly) said.push(...ofActivation(layer));
  return said.length ? said.join(" ") : layer.type;
}

/** What padding, stride and dilation do. */
function ofWindows(layer) {
  const edges = edgesOf(layer);
  const sizes = edges.map(({ size }) => size);
  const strides = edges.map(({ stride }) => stride);
  const dilations = edges.map(({ dilation }) => dilation);
  const said = [];
  if (!allEqual(dilations, 1)) said.push(text("whatDilation", { size: times(sizes), rate: times(dilations), reach: times(edges.map(reachOf)) }));
  if (layer.padding === "same") said.push(text(isPooling(layer) ? "whatSamePooling" : "whatSame"));
  else if (!isPooling(layer)) said.push(text(allEqual(sizes, 1) ? "whatOnePlace" : "whatValid"));
  if (!allEqual(strides, 1)) said.push(allEqual(strides, 2) ? text("whatHalved") : text("whatStride", { stride: times(strides) }));
  return said;
}

/** What became of the size. */
function ofSizes(layer, read) {
  if (read?.length !== 3 || layer.output_shape.length !== 3) return [];
  const [from, to] = [read, layer.output_shape].map((shape) => times(shape.slice(0, 2)));
  return [from === to ? text("whatSizeKept", { size: to }) : text("whatSizeChanged", { from, to })];
}

function ofActivation(layer) {
  if (layer.type === "ReLU" || layer.type === "LeakyReLU") {
    const values = { slope: number(layer.negative_slope ?? 0, 3), most: number(layer.max_value ?? 0, 3) };
    return [text(layer.negative_slope ? "whatLeaky" : "whatRelu", values), layer.max_value !== null && text("whatCapped", values)].filter(Boolean);
  }
  const name = layer.type === "Softmax" ? "softmax" : layer.activation;
  if (!name || name === "linear") return [];
  return [text(ACTIVATIONS[name] ?? "whatActivation", { name })];
}
