// Maps drawn large, with the window that is read and the padding around them. Knows no calls and no words.

import { drawMap } from "./colours.js";

const EDGE = 480;

/** Draw a map, hatched padding around it as in `along`, and the `places` {rows, columns} that are read outlined. */
export function drawPlan(canvas, rows, range, along, places) {
  const [tall, wide] = [rows.length, rows[0].length].map((extent, axis) => extent + along[axis].before + along[axis].after);
  const cell = Math.max(1, Math.floor(EDGE / Math.max(tall, wide)));
  Object.assign(canvas, { width: wide * cell, height: tall * cell });
  const context = canvas.getContext("2d");
  context.fillStyle = hatching(context, getComputedStyle(canvas).color);
  context.fillRect(0, 0, canvas.width, canvas.height);
  const [top, left] = along.map(({ before }) => before * cell);
  const map = document.createElement("canvas");
  drawMap(map, rows, range);
  context.imageSmoothingEnabled = false;
  context.drawImage(map, left, top, map.width * cell, map.height * cell);
  if (!places) return;
  const line = Math.max(2, cell / 8);
  for (const [colour, width] of [["#fff", 2 * line], ["#e0001b", line]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    for (const y of places.rows) for (const x of places.columns) context.strokeRect(left + x * cell, top + y * cell, cell, cell);
  }
}

/** Draw lines between the places of a plan with so many columns, padding among them, where there is room for lines. */
export function ruleOff(canvas, columns) {
  const cell = canvas.width / columns;
  if (cell < 5) return;
  const context = canvas.getContext("2d");
  context.strokeStyle = "rgb(0 0 0 / 0.45)";
  context.lineWidth = 1;
  context.beginPath();
  for (let at = 0; at <= canvas.width; at += cell) {
    context.moveTo(at, 0);
    context.lineTo(at, canvas.height);
    context.moveTo(0, at);
    context.lineTo(canvas.width, at);
  }
  context.stroke();
}

/** Cover all of a plan behind a place, as not there yet. */
export function coverAfter(canvas, rows, [row, column]) {
  const context = canvas.getContext("2d");
  const cell = canvas.width / rows[0].length;
  context.fillStyle = "rgb(128 128 128 / 0.75)";
  context.fillRect((column + 1) * cell, row * cell, canvas.width, cell);
  context.fillRect(0, (row + 1) * cell, canvas.width, canvas.height);
}

/** Which place of a map with so many rows and columns a pointer is at. */
export function placeAt(canvas, rows, event) {
  const box = canvas.getBoundingClientRect();
  const place = [((event.clientY - box.top) / box.height) * rows.length, ((event.clientX - box.left) / box.width) * rows[0].length];
  return place.map((at, axis) => Math.max(0, Math.min([rows.length, rows[0].length][axis] - 1, Math.floor(at))));
}

function hatching(context, colour) {
  const tile = document.createElement("canvas");
  Object.assign(tile, { width: 8, height: 8 });
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  for (const shift of [-8, 0, 8]) {
    pen.moveTo(shift, 8);
    pen.lineTo(shift + 8, 0);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat");
}
