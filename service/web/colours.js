// Numbers as colours on canvases. Knows no network and no words.

// Viridis, at even distances: dark for little, light for much, and readable without seeing colours.
const ANCHORS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

function viridis(share) {
  const place = Math.max(0, Math.min(1, share)) * (ANCHORS.length - 1);
  const low = Math.min(Math.floor(place), ANCHORS.length - 2);
  return ANCHORS[low].map((value, part) => value + (ANCHORS[low + 1][part] - value) * (place - low));
}

/** White for 0, red for what is above it, blue for what is below; `share` is -1 to 1. */
function signed(share) {
  const fade = 255 * (1 - Math.min(1, Math.abs(share)));
  return share >= 0 ? [255, fade, fade] : [fade, fade, 255];
}

// Of thousands of maps each pixel is only looked up here.
const tableOf = (colour) =>
  new Uint32Array(new Uint8ClampedArray(Array.from({ length: 256 }, (_, place) => [...colour(place / 255), 255]).flat()).buffer);
const VIRIDIS = tableOf(viridis);
const SIGNED = tableOf((share) => signed(2 * share - 1));

/** The largest absolute value in an array of arrays, at least a tiny bit. */
export function highest(values) {
  return values.reduce((most, row) => row.reduce((inner, value) => Math.max(inner, Math.abs(value)), most), 1e-9);
}

/** What the colours of some maps reach to: the largest absolute value, and whether any is below 0. */
export const rangeOf = (maps) => ({
  limit: maps.reduce((most, rows) => Math.max(most, highest(rows)), 0),
  negative: maps.some((rows) => rows.some((row) => row.some((value) => value < 0))),
});

/** Draw rows of numbers on a canvas, a pixel for each, in colours of that range. */
export function drawMap(canvas, rows, { limit, negative }) {
  const height = rows.length;
  const width = rows[0].length;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const colours = new Uint32Array(image.data.buffer);
  rows.forEach((row, y) =>
    row.forEach((value, x) => {
      const share = Math.max(negative ? -1 : 0, Math.min(1, value / limit));
      colours[y * width + x] = negative ? SIGNED[Math.round((share + 1) * 127.5)] : VIRIDIS[Math.round(share * 255)];
    }),
  );
  context.putImageData(image, 0, 0);
}

/** Lay an attribution over what a canvas shows; `frame` is its place there, in shares of width and height. */
export function drawOver(canvas, rows, frame) {
  const layer = document.createElement("canvas");
  layer.width = rows[0].length;
  layer.height = rows.length;
  const context = layer.getContext("2d");
  const image = context.createImageData(layer.width, layer.height);
  const limit = highest(rows);
  rows.flat().forEach((value, place) => {
    const share = value / limit;
    image.data.set([share > 0 ? 255 : 0, 0, share > 0 ? 0 : 255, 200 * Math.abs(share)], place * 4);
  });
  context.putImageData(image, 0, 0);
  const target = canvas.getContext("2d");
  target.imageSmoothingEnabled = false;
  const { width, height } = canvas;
  target.drawImage(layer, frame.left * width, frame.top * height, frame.width * width, frame.height * height);
}
