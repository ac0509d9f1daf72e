// One map enlarged, and the arithmetic of one of its values. Knows no calls.

import { drawMap } from "./colours.js";
import { byId, element } from "./elements.js";
import { fixed, text } from "./texts.js";

const SHOWN_CHANNELS = 4;

/** Whether the service works out how a value of the layer comes about. */
export const isTraced = (layer) => ["Conv2D", "MaxPooling2D", "AveragePooling2D"].includes(layer.type);

/** Enlarge a map; call `ask(row, column)` when a place in it is chosen. */
export function enlarge(title, rows, range, ask) {
  byId("detail").hidden = false;
  byId("detail-title").textContent = title;
  byId("arithmetic").replaceChildren();
  const canvas = byId("map");
  drawMap(canvas, rows, range);
  const [row, column] = [byId("row"), byId("column")];
  row.max = rows.length - 1;
  column.max = rows[0].length - 1;
  const chosen = () => {
    const place = [row, column].map((field) => Math.max(0, Math.min(field.max, Math.round(field.valueAsNumber || 0))));
    drawMap(canvas, rows, range);
    const context = canvas.getContext("2d");
    context.fillStyle = "#ff3b30";
    context.fillRect(place[1], place[0], 1, 1);
    ask(...place);
  };
  row.onchange = chosen;
  column.onchange = chosen;
  canvas.onclick = (event) => {
    const box = canvas.getBoundingClientRect();
    row.value = Math.floor(((event.clientY - box.top) / box.height) * rows.length);
    column.value = Math.floor(((event.clientX - box.left) / box.width) * rows[0].length);
    chosen();
  };
  row.value = Math.floor(rows.length / 2);
  column.value = Math.floor(rows[0].length / 2);
  chosen();
}

/** Write a trace out: tables of what was read, and the sum or the choice that was made of it; or the value alone. */
export function drawArithmetic(trace) {
  const parts = [];
  if (trace.kind === "convolution") {
    const sums = trace.products.map((rows) => rows.flat().reduce((sum, value) => sum + value, 0));
    const order = sums.map((_, channel) => channel).sort((a, b) => Math.abs(sums[b]) - Math.abs(sums[a]));
    const shown = order.slice(0, SHOWN_CHANNELS);
    for (const channel of shown) {
      const many = sums.length > 1;
      parts.push(
        element(
          "div",
          { className: "tables" },
          window(trace, channel, many ? text("readChannel", { channel }) : text("read")),
          "×",
          table(trace.kernel[channel], text("kernelWeights")),
          "=",
          table(trace.products[channel], text("products")),
          element("span", {}, `${text("sum")} ${fixed(sums[channel], 4)}`),
        ),
      );
    }
    const rest = order.slice(SHOWN_CHANNELS);
    if (rest.length) {
      const sum = rest.reduce((total, channel) => total + sums[channel], 0);
      parts.push(element("p", {}, text("otherChannels", { count: rest.length, sum: fixed(sum, 4) })));
    }
    const all = sums.reduce((total, value) => total + value, 0);
    parts.push(element("p", {}, `${fixed(all, 4)} + ${text("bias")} ${fixed(trace.bias, 4)} = ${fixed(trace.total, 4)}`));
    const value = element("strong", { id: "value" }, fixed(trace.value, 4));
    parts.push(element("p", {}, `${trace.activation}(${fixed(trace.total, 4)}) = `, value));
  } else {
    if (trace.window) parts.push(element("div", { className: "tables" }, window(trace, 0, text("read"))));
    const value = element("strong", { id: "value" }, fixed(trace.value, 4));
    parts.push(element("p", {}, `${text(trace.kind)} = `, value));
  }
  if (trace.window?.inside.flat().includes(false)) parts.push(element("p", { className: "quiet" }, text("padding")));
  byId("arithmetic").replaceChildren(...parts);
}

function window(trace, channel, caption) {
  const { rows, columns, inside, values } = trace.window;
  const head = element("tr", {}, element("td"), ...columns.map((column) => element("th", { scope: "col" }, String(column))));
  const body = rows.map((row, y) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, String(row)),
      ...columns.map((_, x) => {
        const cell = element("td", {}, fixed(values[channel][y][x], 3));
        if (!inside[y][x]) cell.className = "padding";
        if (trace.chosen && trace.chosen[0] === y && trace.chosen[1] === x) cell.className = "chosen";
        return cell;
      }),
    ),
  );
  return element("table", {}, element("caption", {}, caption), head, ...body);
}

function table(rows, caption) {
  const body = rows.map((row) => element("tr", {}, ...row.map((value) => element("td", {}, fixed(value, 3)))));
  return element("table", {}, element("caption", {}, caption), ...body);
}
