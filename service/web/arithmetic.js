// The arithmetic of one value of a map, written out. Knows no calls.

import { byId, element } from "./elements.js";
import { fixed, text } from "./texts.js";

const SHOWN_CHANNELS = 4;

/** Whether the service works out how a value of the layer comes about. */
export const isTraced = (layer) => ["Conv2D", "MaxPooling2D", "AveragePooling2D"].includes(layer.type);

/**
 * Write a trace out: tables of what was read, and the sum or the choice that was made of it; or the value alone.
 * Where that is all there will be, `trace.type` is the layer's.
 *
 * Of a convolution the maps that speak most have tables, or those of `only`; `first` is the number of the first map.
 */
export function drawArithmetic(trace, only = null, first = 0) {
  const parts = [];
  if (trace.kind === "convolution") {
    const sums = trace.products.map((rows) => rows.flat().reduce((sum, value) => sum + value, 0));
    const order = sums.map((_, channel) => channel).sort((a, b) => Math.abs(sums[b]) - Math.abs(sums[a]));
    const shown = only ?? order.slice(0, SHOWN_CHANNELS);
    for (const channel of shown) {
      const many = sums.length > 1;
      parts.push(
        element(
          "div",
          { className: "tables" },
          window(trace, channel, many ? text("readChannel", { channel: first + channel }) : text("read")),
          "×",
          table(trace.kernel[channel], text("kernelWeights")),
          "=",
          table(trace.products[channel], text("products")),
          element("span", {}, `${text("sum")} ${fixed(sums[channel], 4)}`),
        ),
      );
    }
    const rest = order.filter((channel) => !shown.includes(channel));
    if (rest.length) {
      const sum = rest.reduce((total, channel) => total + sums[channel], 0);
      parts.push(element("p", {}, text("otherChannels", { count: rest.length, sum: fixed(sum, 4) })));
    }
    const all = sums.reduce((total, value) => total + value, 0);
    parts.push(element("p", {}, `${fixed(all, 4)} + ${text("bias")} ${fixed(trace.bias, 4)} = ${fixed(trace.total, 4)}`));
    const value = element("strong", { id: "value" }, fixed(trace.value, 4));
    const across = trace.activation.toLowerCase().endsWith("softmax");
    parts.push(element("p", {}, `${trace.activation}(${fixed(trace.total, 4)}${across ? ", …" : ""}) = `, value));
    if (across) parts.push(element("p", { className: "quiet" }, text("softmaxAcross")));
  } else {
    if (trace.window) parts.push(element("div", { className: "tables" }, window(trace, 0, text("read"))));
    const value = element("strong", { id: "value" }, fixed(trace.value, 4));
    parts.push(element("p", {}, `${text(trace.kind)} = ${trace.kind === "mean" ? quotient(trace.window) : ""}`, value));
  }
  if (trace.type) parts.push(element("p", {}, text("noArithmetic", { type: trace.type })));
  if (trace.window?.inside.flat().includes(false)) parts.push(element("p", { className: "quiet" }, text(trace.kind === "convolution" ? "padding" : "paddingLeftOut")));
  byId("arithmetic").replaceChildren(...parts);
}

/** The sum of what a mean was made of, by how many they are; padding is not among them. */
function quotient(window) {
  if (!window) return "";
  const counted = window.values[0].flat().filter((_, place) => window.inside.flat()[place]);
  return `${fixed(counted.reduce((sum, value) => sum + value, 0), 4)} / ${counted.length} = `;
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
