// What is to be learned of the network beside a picture's maps: its parameters, kernels, drawing, and how sizes change.

import * as api from "./api.js";
import { byId } from "./elements.js";
import { listenForSizes, offerSizes } from "./outputsize.js";
import { drawnWhenOpen, offer } from "./pictures.js";
import { guideThrough } from "./scrolling.js";
import { number, text } from "./texts.js";

// A sum of more terms than that is no longer read.
const MOST_TERMS = 16;

let model = null;
let again = [];

/** Show what belongs to a model {card, summary}, in the language that is chosen. */
export function showLessons(own) {
  model = own;
  const { summary } = model;
  byId("sum").textContent = summary ? sumOf(summary) : "";
  const convolutions = summary?.layers.filter(({ type }) => type === "Conv2D") ?? [];
  offer("kernels-layer", convolutions.map(({ name }) => name));
  byId("kernels-choice").hidden = !convolutions.length;
  offerSizes(summary);
  for (const draw of again) draw();
}

/** The parameters layer by layer and together, where they add up to what the model says it has. */
function sumOf({ layers, parameters, trainable_parameters: trained }) {
  const terms = layers.map((layer) => layer.parameters).filter(Boolean);
  const whole = number(parameters);
  const complete = terms.reduce((sum, each) => sum + each, 0) === parameters;
  const words = complete && terms.length > 1 && terms.length <= MOST_TERMS ? `${terms.map((each) => number(each)).join(" + ")} = ${whole}` : whole;
  const fixed = parameters - trained;
  return text("sumOfParameters", { sum: words, layers: number(terms.length), all: number(layers.length) }) + (fixed ? ` ${text("notTrained", { count: number(fixed) })}` : "");
}

/** Listen, once, to what is moved and opened; `tell(error)` puts a failure into words. */
export function listenForLessons(tell) {
  guideThrough(byId("stages"), byId("stages-back"), byId("stages-on"), (first, last, count) => {
    byId("stages-shown").textContent = first && last - first + 1 < count ? text("stagesShown", { first: number(first), last: number(last), count: number(count) }) : "";
    byId("stages-guide").hidden = byId("stages-back").disabled && byId("stages-on").disabled;
  });
  listenForSizes();
  const layer = byId("kernels-layer");
  const style = byId("diagram-style");
  again = [
    drawnWhenOpen(byId("kernels"), () => text("kernelsOf", { layer: layer.value }), drawKernels, tell),
    drawnWhenOpen(byId("diagram"), () => text("diagram"), () => api.getDiagram(style.value), (error) => toldOfDiagram(error, tell)),
  ];
  layer.addEventListener("change", again[0]);
  style.addEventListener("change", again[1]);
}

async function drawKernels() {
  const name = byId("kernels-layer").value;
  if (name) return api.getKernels(name);
  return model ? text(model.summary ? "noKernels" : "noLayers") : "";
}

function toldOfDiagram(error, tell) {
  const graphviz = error.status === 503 && error.message.includes("Graphviz");
  return graphviz ? text("noGraphviz") : tell(error);
}
