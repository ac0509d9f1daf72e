// A large photograph made smaller before it is sent. Knows no call, and of the model only the size that it takes.

// What a proxy takes of a body, unless it is told otherwise: nginx 1 MiB. What is smaller is sent as it is.
const LARGE_BYTES = 1_000_000;
// Twice as many pixels as a photograph is prepared from, and more than twice as many as most networks take.
const LONGER_EDGE = 1600;
const QUALITY = 0.95;

/**
 * The picture to send and, where it was made smaller, `from` and `to`: width and height in pixels.
 *
 * It is decoded as the service does: turned upright, colour profiles left aside, transparent parts on white. What the
 * browser cannot decode is sent as it is, and the service says what it makes of it.
 */
export async function shrunk(picture, modelEdge) {
  const asItIs = { picture, from: null, to: null };
  if (picture.size <= LARGE_BYTES) return asItIs;
  let image;
  try {
    image = await createImageBitmap(picture, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    return asItIs;
  }
  try {
    const from = [image.width, image.height];
    const scale = Math.max(LONGER_EDGE, 2 * modelEdge) / Math.max(...from);
    if (scale >= 1) return asItIs;
    const to = from.map((edge) => Math.max(1, Math.round(edge * scale)));
    const smaller = await drawn(image, ...to);
    return smaller && smaller.size < picture.size ? { picture: smaller, from, to } : asItIs;
  } finally {
    image.close();
  }
}

function drawn(image, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
}
