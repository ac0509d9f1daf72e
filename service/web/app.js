// Joins the parts of the page: what the person gives and chooses, the service's calls, and what is drawn of them.

import { drawAnswer, drawPictures, isUnfamiliar } from "./answer.js";
import * as api from "./api.js";
import { drawCard, drawCurves } from "./card.js";
import { drawOver } from "./colours.js";
import { byId, element, press } from "./elements.js";
import { fitDrawing, listenForPictures, offerSamples } from "./giving.js";
import { offerParts, showInsides } from "./insides.js";
import { listenForLessons, showLessons } from "./lessons.js";
import { showSizesOf } from "./outputsize.js";
import { shrunk } from "./shrinking.js";
import { enlarge, listenForPlaces } from "./sliding.js";
import { language, number, setLanguage, text, textOr, translate } from "./texts.js";

let model = null; // { card, summary, fault, models, curves }
let given = null; // { picture, name, sent, seen, answer, outputs, from, to, chosen }
// Count what is asked for, so that nothing is shown of a late answer to something earlier.
let asked = 0;
let explained = 0;

function say(key, values) {
  byId("status").textContent = key ? text(key, values) : "";
}

/** What went wrong in the page's language; the service's own words, which are English, follow a sentence of ours. */
function wordsOf(error) {
  if (error.key) return text(error.key, { ...error.values, megabytes: number(error.values.megabytes ?? 0, 1) });
  return error.status ? `${textOr(`problem${error.status}`, "problemOther", { status: error.status })} ${error.message}` : error.message;
}

function complain(error) {
  say(null);
  byId("error").textContent = wordsOf(error);
  if (error.status === 401) byId("key-form").hidden = false;
  if (!(error instanceof api.Problem)) console.error(error);
}

/** Run something that may fail; what went wrong is shown in words, unless another picture was given meanwhile. */
async function trying(work) {
  const own = asked;
  byId("error").textContent = "";
  try {
    await work();
  } catch (error) {
    if (own === asked) complain(error);
  }
}

async function bitmap(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

/** Ask for what is in `picture`, a Blob or a promise of one; `origin` is as `listenForPictures` says. */
function take(picture, name, origin) {
  asked += 1;
  const own = asked;
  forget();
  return trying(async () => {
    say("waiting");
    if (!model) await load();
    const { height, width } = model.card.input;
    const whole = await picture;
    const { picture: sending, from, to } = await shrunk(whole, Math.max(height, width));
    if (own !== asked) return;
    const answer = await api.predict(sending);
    // Another model may have taken the place of the one that the page knows.
    if (model.summary && answer.model.version !== model.summary.version) await load();
    const address = URL.createObjectURL(sending);
    try {
      const [sent, seen] = await Promise.all([bitmap(address).catch(() => bitmap(answer.input)), bitmap(answer.input)]);
      if (own !== asked) return;
      given = { picture: sending, whole, name, origin, sent, seen, answer, outputs: new Map(), from, to, chosen: null };
    } finally {
      URL.revokeObjectURL(address);
    }
    showGiven();
    sayAnswer(answer);
  });
}

/** Who listens hears this alone, so that it is no more certain than what stands beside it. */
function sayAnswer({ label, labels, probability, familiarity, model: { version } }) {
  const unsure = !labels && probability < 0.5;
  say(unsure ? "answeredUnsure" : "answered", { label: labels ? labels.join(", ") || "–" : label, version });
  if (isUnfamiliar(familiarity)) byId("status").textContent += ` ${text("strange")}`;
}

/** Nothing of an earlier picture stands as if it were said of the next one. */
function forget() {
  given = null;
  for (const part of ["answer", "detail"]) byId(part).hidden = true;
  if (model) showLayers();
}

function showGiven() {
  drawAnswer(given, model.card.class_names.length, explain);
  const { from, to } = given;
  byId("shrunk").textContent = from ? text("shrunk", { from: from.join("×"), to: to.join("×") }) : "";
  byId("detail").hidden = true;
  showLayers();
}

function showLayers() {
  if (model.summary) showInsides(model, given, chooseMap, wordsOf);
  else byId("maps-note").textContent = wordsOf(model.fault);
}

function explain(entry) {
  explained += 1;
  const own = explained;
  const { picture } = given;
  const current = () => own === explained && given?.picture === picture;
  return trying(async () => {
    drawPictures(given);
    given.chosen = entry;
    byId("why").textContent = text("waiting");
    press(byId("bars").querySelector(`[data-index="${entry.index}"]`), byId("bars"));
    const method = byId("method").value;
    try {
      const found = await api.attribution(picture, method, entry.label);
      if (!current()) return;
      drawOver(byId("sent"), found.values, found.frame);
      drawOver(byId("seen"), found.values, { left: 0, top: 0, width: 1, height: 1 });
      byId("why").textContent = text("whyText", { label: found.label, method });
      byId("hide-why").hidden = false;
    } catch (error) {
      if (!current()) return;
      hideWhy();
      throw error;
    }
  });
}

function hideWhy() {
  explained += 1; // what is still on its way is not shown any more
  given.chosen = null;
  drawPictures(given);
}

function chooseMap(layer, place, rows, range) {
  const { picture } = given;
  const ask = async (row, column) => {
    let found = null;
    await trying(async () => (found = await api.trace(picture, layer.name, place, row, column)));
    return found;
  };
  enlarge({ model, given }, layer, place, rows, range, ask, () => api.kernels(layer));
  showSizesOf(layer.name);
  byId("detail").scrollIntoView({ block: "nearest" });
}

async function load() {
  // Whatever is missing beside the card, there are answers.
  const [card, summary, models] = await Promise.all([
    api.getCard(),
    api.getSummary().catch((error) => error),
    api.getModels().catch(() => []),
  ]);
  const fault = summary instanceof Error ? summary : null;
  model = { card, summary: fault ? null : summary, fault, models, curves: null };
  showModel();
  if (card.training) bringCurves(model);
}

/** Drawn when they are first asked for, which may take seconds. */
function bringCurves(known) {
  return trying(async () => {
    const curves = await api.getCurves();
    if (known !== model) return;
    model.curves = URL.createObjectURL(curves);
    drawCurves(model.curves);
  });
}

function start() {
  return trying(async () => {
    say("loading");
    await load();
    say("ready");
  });
}

/** Everything that has words in it. */
function showModel() {
  translate();
  byId("method-text").textContent = text(byId("method").value);
  const { summary, card, curves } = model;
  describe();
  showLessons(model);
  offerSamples(card.class_names, take, api.getSample, api.sampleAddress);
  fitDrawing(card);
  drawCard(card);
  if (curves) drawCurves(curves);
  if (summary) offerParts(summary, showLayers);
  if (given) showGiven();
  else showLayers();
}

/** Which of the models that are served this is, and the choice of another one. */
function describe() {
  const { summary, card, models } = model;
  const { height, width, channels } = card.input;
  const version = summary?.version ?? models.find(({ name }) => name === card.name)?.version ?? "?";
  const facts = { name: card.name, version, classes: number(card.class_names.length), size: `${height}×${width}×${channels}` };
  const parts = [text("model", facts), summary && text("parameters", { count: number(summary.parameters) })];
  byId("model").textContent = parts.filter(Boolean).join(", ");
  const ready = models.filter(({ state }) => state === "READY");
  byId("models").hidden = ready.length < 2;
  const field = byId("which-model");
  field.replaceChildren(...ready.map(({ name }) => element("option", { value: name, selected: name === card.name }, name)));
  if (api.chosenModel !== null) byId("card-link").href = api.addressOf("model-card");
}

byId("language").value = language();
translate();
byId("language").addEventListener("change", ({ target }) => {
  setLanguage(target.value);
  say(null);
  if (model) showModel();
  else translate();
});
byId("which-model").addEventListener("change", ({ target }) => location.assign(`?${new URLSearchParams({ model: target.value })}`));
byId("method").addEventListener("change", () => {
  byId("method-text").textContent = text(byId("method").value);
  if (given?.chosen) explain(given.chosen);
});
byId("hide-why").addEventListener("click", hideWhy);
byId("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(byId("curl").textContent);
    say("copied");
  } catch {
    getSelection().selectAllChildren(byId("curl"));
    say("selected");
  }
});
listenForPlaces();
listenForLessons(wordsOf);
listenForPictures(take, (key) => complain(new api.Problem("", key)));
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useKey(byId("key").value);
  byId("key-form").hidden = true;
  start();
});
start();
