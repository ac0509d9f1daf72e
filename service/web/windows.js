// Where the windows of a convolution or a pooling lie along an edge of its input, as Keras has it. Knows no page.

const WINDOWED = ["Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D"];

/** Whether a layer reads its input in windows whose places are known. */
export const isWindowed = (layer) => WINDOWED.includes(layer.type) && ["same", "valid"].includes(layer.padding);

export const isPooling = (layer) => layer.type.includes("Pooling");

/** How such a layer reads along the height and along the width. */
export function edgesOf(layer) {
  const sizes = layer.kernel_size ?? layer.pool_size;
  return sizes.map((size, axis) => ({ size, stride: layer.strides[axis], dilation: layer.dilation_rate?.[axis] ?? 1, padding: layer.padding }));
}

/** How many places a window spans: with dilation there are gaps in it. */
export const reachOf = ({ size, dilation }) => (size - 1) * dilation + 1;

/** How many windows there are along an edge of so many places, and how much padding is before and after it. */
export function alongEdge(extent, edge) {
  const reach = reachOf(edge);
  if (edge.padding === "valid") return { count: Math.max(0, Math.floor((extent - reach) / edge.stride) + 1), before: 0, after: 0 };
  const count = Math.ceil(extent / edge.stride);
  const missing = Math.max(0, (count - 1) * edge.stride + reach - extent);
  return { count, before: Math.floor(missing / 2), after: Math.ceil(missing / 2) };
}

/** The places that the window for an output's `place` reads; below 0 or past the end is padding. */
export function placesOf(place, edge, before) {
  return Array.from({ length: edge.size }, (_, step) => place * edge.stride - before + step * edge.dilation);
}
