// What a layer reads: the shape of it and, where they are on the page, the maps themselves. Knows no page.

const byName = (summary, name) => summary.layers.find((layer) => layer.name === name);

/** Whether it is a dropout of any kind, which hands on what it is given: the service makes nothing of it. */
export const isDropout = (layer) => (layer.dropout ?? null) !== null;

/** The shape of the only thing that a layer reads, or null where that cannot be told. */
export function inputShape(layer, summary) {
  if (layer.inputs?.length !== 1) return null;
  return layer.inputs[0] === "" ? summary.input_shape : byName(summary, layer.inputs[0]).output_shape;
}

/** The maps that a layer reads of a picture that was `given`, [channel][row][column], or null where they are not here. */
export function mapsRead(layer, { summary, card }, given) {
  let from = layer;
  do {
    if (from.inputs?.length !== 1) return null;
    if (from.inputs[0] === "") return pixels(given.seen, card.input);
    from = byName(summary, from.inputs[0]);
  } while (isDropout(from));
  return given.outputs.get(from.name)?.maps ?? null;
}

/** The model's input as numbers, of the picture that shows it. */
function pixels(seen, { height, width, channels, channel_order: order, scale, offset }) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(seen, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return Array.from({ length: channels }, (_, channel) => {
    const colour = order === "bgr" && channels === 3 ? 2 - channel : channel;
    const [by, plus] = [scale, offset].map((of) => (typeof of === "number" ? of : of[channel]));
    return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => data[(y * width + x) * 4 + colour] * by + plus));
  });
}
