// Arrays of numbers as NumPy writes them (.npy) and as the page draws them. Knows no call.

// "\x93NUMPY", two bytes of version, two of the header's length; then the header, in Python's words.
const LENGTH_AT = 8;
const HEADER_AT = 10;

/** The output of a layer, as in the service's JSON: maps (channels, rows, columns) or values; `buffer` holds float32. */
export function layerOf(name, buffer) {
  const start = HEADER_AT + new DataView(buffer).getUint16(LENGTH_AT, true);
  const header = new TextDecoder().decode(new Uint8Array(buffer, HEADER_AT, start - HEADER_AT));
  const shape = /'shape': \(([^)]*)\)/.exec(header)[1].split(",").filter((edge) => edge.trim()).map(Number);
  const numbers = new Float32Array(buffer, start);
  if (shape.length === 1) return { layer: name, shape, maps: null, values: [...numbers], strongest: strongestFirst([...numbers]) };
  const [height, width, channels] = shape;
  const maps = Array.from({ length: channels }, (_, channel) =>
    Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => numbers[(y * width + x) * channels + channel])),
  );
  const sums = maps.map((rows) => rows.reduce((sum, row) => row.reduce((inner, value) => inner + value, sum), 0));
  return { layer: name, shape, maps, values: null, strongest: strongestFirst(sums) };
}

const strongestFirst = (numbers) => numbers.map((_, place) => place).sort((a, b) => numbers[b] - numbers[a]);
