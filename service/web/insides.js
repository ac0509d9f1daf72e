// What the layers make of a picture: as many of them as a page can hold, asked for in pieces. Knows no answer.

import * as api from "./api.js";
import { layerOf } from "./arrays.js";
import { byId, element } from "./elements.js";
import { drawStages, isToScale, showOutput } from "./network.js";
import { isDropout, mapsRead } from "./reading.js";
import { number, text } from "./texts.js";
import { onceVisible } from "./visibility.js";

// All layers together come in one call up to so many values: some five megabytes. Else each layer comes alone, and one of
// so many values that a phone would have no room for them, as a picture.
const MOST_TOGETHER = 500_000;
const MOST_VALUES = 1_000_000;
const MOST_STAGES = 24;

let end = () => {};

const valuesOf = (layer) => layer.output_shape.reduce((count, edge) => count * (edge ?? Infinity), 1);
const handsOn = (layer) => isDropout(layer) || ["Flatten", "Reshape"].includes(layer.type);
const makesSomething = (layer) => !handsOn(layer) && [1, 3].includes(layer.output_shape.length);

/** Offer the layers in parts, where they are too many for one; call `choose()` when another part is chosen. */
export function offerParts({ layers }, choose) {
  const field = byId("part");
  const starts = Array.from({ length: Math.ceil(layers.length / MOST_STAGES) }, (_, part) => part * MOST_STAGES);
  const chosen = field.value;
  field.replaceChildren(
    ...starts.map((start) => {
      const last = Math.min(start + MOST_STAGES, layers.length);
      const words = { from: number(start + 1), to: number(last), first: layers[start].name, last: layers[last - 1].name };
      return element("option", { value: start }, text("partOf", words));
    }),
  );
  field.value = chosen || "0";
  field.onchange = choose;
  byId("part-label").hidden = starts.length < 2;
}

/**
 * Draw the chosen part of the layers and, for a picture that was `given`, what they made of it, as it comes.
 *
 * `given.outputs` remembers what has come, by name; `tell(error)` puts a failure into words.
 */
export function showInsides(model, given, choose, tell) {
  end();
  const note = (words) => (byId("maps-note").textContent = words);
  note("");
  const start = Number(byId("part").value);
  const all = model.summary.layers;
  const layers = all.slice(start, start + MOST_STAGES);
  byId("network-text").textContent = text(isToScale(model.summary) ? "networkText" : "networkTextLarge");
  const places = drawStages(model, layers, given?.seen);
  if (!given) return;
  const silent = (layer) => places.get(layer.name).replaceChildren(element("p", { className: "what" }, text("nothingDrawn")));
  const show = (layer) => {
    const read = layer.type === "Flatten" ? mapsRead(layer, model, given) : null;
    showOutput(places.get(layer.name), layer, given.outputs.get(layer.name), read, model, choose);
    if (!handsOn(layer) && !makesSomething(layer)) silent(layer);
  };
  layers.forEach(show);
  const missing = layers.filter((layer) => makesSomething(layer) && !given.outputs.has(layer.name));
  if (!missing.length) return;
  note(text("mapsWaiting"));
  let current = true;
  const failed = (error) => {
    if (current) note(tell(error));
    end();
  };
  if (all.filter(makesSomething).reduce((sum, layer) => sum + valuesOf(layer), 0) <= MOST_TOGETHER) {
    end = () => (current = false);
    api.featureMaps(given.picture).then(({ layers: outputs }) => {
      for (const output of outputs) given.outputs.set(output.layer, output);
      if (!current) return;
      layers.forEach(show);
      missing.filter((layer) => !given.outputs.has(layer.name)).forEach(silent);
      note("");
    }, failed);
    return;
  }
  for (const [name] of given.outputs) if (!places.has(name)) given.outputs.delete(name); // they would fill the memory
  const byPlace = new Map(missing.map((layer) => [places.get(layer.name), layer]));
  const stop = onceVisible([...byPlace.keys()], async (place) => {
    const layer = byPlace.get(place);
    place.setAttribute("aria-busy", "true");
    try {
      given.outputs.set(layer.name, await outputOf(given.picture, layer));
      if (!current) return;
      show(layer);
      note("");
    } catch (error) {
      if (error.status !== 422) failed(error);
      else if (current) silent(layer); // it has no part in the answer, or makes nothing to be shown
    } finally {
      place.removeAttribute("aria-busy");
    }
  });
  end = () => {
    current = false;
    stop();
  };
}

async function outputOf(picture, layer) {
  if (valuesOf(layer) > MOST_VALUES) return api.drawnMaps(picture, layer.name);
  return layerOf(layer.name, await api.packedMaps(picture, layer.name));
}
