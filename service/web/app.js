// Joins the parts of the page: what the person gives and chooses, the service's calls, and what is drawn of them.

import * as api from "./api.js";
import { drawArithmetic, enlarge } from "./arithmetic.js";
import { drawCard } from "./card.js";
import { drawOver } from "./colours.js";
import { byId, element, press, rove } from "./elements.js";
import { listenForPictures, offerSamples } from "./giving.js";
import { drawStages } from "./network.js";
import { language, number, setLanguage, text, translate } from "./texts.js";

const SENT_EDGE = 640;

let model = null; // { summary, card, curves }
let given = null; // { picture, name, sent, seen, answer, outputs, fault }
let asked = 0; // counts the pictures, so that a late answer to an earlier one is not shown
let traced = 0;

function say(key, values) {
  byId("status").textContent = key ? text(key, values) : "";
}

const wordsOf = (error) => (error.key ? text(error.key) : error.message);

function complain(error) {
  say(null);
  byId("error").textContent = wordsOf(error);
  if (error.status === 401) byId("key-form").hidden = false;
  if (!(error instanceof api.Problem)) console.error(error);
}

/** Run something that may fail; what went wrong is shown in words. */
async function trying(work) {
  byId("error").textContent = "";
  try {
    await work();
  } catch (error) {
    complain(error);
  }
}

async function bitmap(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

function take(picture, name) {
  asked += 1;
  const own = asked;
  return trying(async () => {
    say("waiting");
    const address = URL.createObjectURL(picture);
    try {
      // The first maps may take seconds, for which the answer does not wait.
      const maps = api.featureMaps(picture).then(({ layers }) => [layers, null], (error) => [[], error]);
      const answer = await api.predict(picture);
      const [sent, seen] = await Promise.all([bitmap(address).catch(() => bitmap(answer.input)), bitmap(answer.input)]);
      if (own !== asked) return;
      given = { picture, name, sent, seen, answer, outputs: null, fault: null };
      showAnswer();
      say("answered", { label: answer.labels ? answer.labels.join(", ") || "–" : answer.label, version: answer.model.version });
      const [layers, fault] = await maps;
      if (own !== asked) return;
      given.outputs = Object.fromEntries(layers.map((output) => [output.layer, output]));
      given.fault = fault;
      showStages();
    } finally {
      URL.revokeObjectURL(address);
    }
  });
}

function showAnswer() {
  const { answer, seen, name } = given;
  byId("answer").hidden = false;
  const most = `${answer.label}, ${number(answer.probability * 100, 1)}%`;
  // Of a multi-label model several may be right, or none.
  byId("label").textContent = answer.labels ? answer.labels.join(", ") || text("noLabel", { most }) : most;
  byId("familiarity").textContent =
    answer.familiarity === null ? "" : text(answer.familiarity < 0.02 ? "strange" : "familiar", { share: number(answer.familiarity * 100) });
  byId("seen-size").textContent = `${seen.height}×${seen.width}`;
  const type = given.picture.type || "image/png";
  const address = new URL(`predict?${new URLSearchParams(api.PREDICT_QUERY)}`, document.baseURI);
  byId("curl").textContent = `curl -F "file=@${name.replace(/["$`\\]/g, "_")};type=${type}" "${address}"`;
  drawPictures();
  drawBars();
  byId("detail").hidden = true;
  showStages();
}

/** What the layers made of the picture, once it has come. */
function showStages() {
  const { seen, outputs, fault } = given;
  byId("maps-note").textContent = fault ? wordsOf(fault) : outputs ? "" : text("mapsWaiting");
  drawStages(model.summary, outputs, seen, model.card.class_names, chooseMap);
}

/** Both pictures anew, without an attribution over them. */
function drawPictures() {
  const { sent, seen } = given;
  const shrink = Math.min(1, SENT_EDGE / Math.max(sent.naturalWidth, sent.naturalHeight));
  // A few pixels would be too coarse a ground for the attribution of a network that saw more of them.
  const grow = Math.max(1, Math.ceil(280 / Math.max(sent.naturalWidth, sent.naturalHeight)));
  paint(byId("sent"), sent, shrink < 1 ? shrink : grow);
  paint(byId("seen"), seen, Math.max(1, Math.ceil(280 / Math.max(seen.naturalWidth, seen.naturalHeight))));
  byId("hide-why").hidden = true;
  byId("why").textContent = text("chooseClass");
  press(null, byId("bars"));
}

function paint(canvas, image, scale) {
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  const context = canvas.getContext("2d");
  // What is transparent is shown as the service takes it.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = scale < 1;
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
}

function drawBars() {
  const bars = byId("bars");
  bars.replaceChildren(
    ...given.answer.probabilities.slice(0, 20).map((entry) => {
      const bar = element("span", { className: "bar" });
      bar.style.width = `${100 * entry.probability}%`;
      const value = `${number(entry.probability * 100, 1)}%`;
      const button = element(
        "button",
        { "aria-pressed": "false", "data-index": entry.index },
        element("span", {}, entry.label),
        element("span", { className: "track" }, bar),
        element("span", { className: "value" }, value),
      );
      button.addEventListener("click", () => explain(entry.index));
      return button;
    }),
  );
  rove(bars, 1);
}

function explain(index) {
  const own = asked;
  return trying(async () => {
    byId("why").textContent = text("waiting");
    const method = byId("method").value;
    const found = await api.attribution(given.picture, method, index);
    if (own !== asked) return;
    drawPictures();
    press(byId("bars").querySelector(`[data-index="${index}"]`), byId("bars"));
    drawOver(byId("sent"), found.values, found.frame);
    drawOver(byId("seen"), found.values, { left: 0, top: 0, width: 1, height: 1 });
    byId("why").textContent = text("whyText", { label: found.label, method });
    byId("hide-why").hidden = false;
  });
}

function chooseMap(layer, place, rows, limit) {
  enlarge(text("map", { number: place, layer: layer.name }), rows, limit, (row, column) => {
    traced += 1;
    const own = traced;
    return trying(async () => {
      const trace = await api.trace(given.picture, layer.name, place, row, column);
      if (own === traced) drawArithmetic(trace);
    });
  });
  byId("detail").scrollIntoView({ block: "nearest" });
}

function showMethod() {
  byId("method-text").textContent = text(byId("method").value);
}

function start() {
  return trying(async () => {
    say("loading");
    const [summary, card] = await Promise.all([api.getSummary(), api.getCard()]);
    model = { summary, card, curves: null };
    showModel();
    say("ready");
    if (!card.training) return;
    model.curves = await api.getCurves(); // drawn when they are first asked for, which may take seconds
    drawCard(card, model.curves);
  });
}

/** Everything that has words in it. */
function showModel() {
  translate();
  showMethod();
  const { summary, card, curves } = model;
  byId("model").textContent = text("model", { name: summary.name, version: summary.version, count: number(summary.parameters) });
  offerSamples(card.class_names, take);
  drawCard(card, curves);
  if (given) showAnswer();
  else drawStages(summary, null, null, card.class_names, chooseMap);
}

byId("language").value = language();
translate();
byId("language").addEventListener("change", ({ target }) => {
  setLanguage(target.value);
  say(null);
  if (model) showModel();
  else translate();
});
byId("method").addEventListener("change", () => {
  showMethod();
  const pressed = byId("bars").querySelector('[aria-pressed="true"]');
  if (pressed) explain(Number(pressed.dataset.index));
});
byId("hide-why").addEventListener("click", drawPictures);
byId("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(byId("curl").textContent);
    say("copied");
  } catch {
    getSelection().selectAllChildren(byId("curl"));
    say("selected");
  }
});
listenForPictures(take, (key) => complain(new api.Problem("", key)));
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useKey(byId("key").value);
  byId("key-form").hidden = true;
  start();
});
start();
