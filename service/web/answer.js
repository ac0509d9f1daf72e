// The answer to one picture: both pictures, the label, the probabilities. Knows no calls.

import { commandFor } from "./command.js";
import { byId, element, press, rove } from "./elements.js";
import { number, percent, text } from "./texts.js";

const SENT_EDGE = 640;
const MOST_BARS = 20;
// Of a hundred validation pictures two are less typical than that.
const UNFAMILIAR = 0.02;

/** Whether hardly any picture of the training data is like it, as far as that is known. */
export const isUnfamiliar = (familiarity) => familiarity !== null && familiarity < UNFAMILIAR;

/** All of the answer of `given`; call `choose(entry)` when a class is chosen. */
export function drawAnswer(given, classCount, choose) {
  const { answer, seen } = given;
  byId("answer").hidden = false;
  const most = `${answer.label}, ${shareOf(answer.probability, answer)}`;
  // Of a multi-label model several may be right, or none.
  byId("label").textContent = answer.labels ? answer.labels.join(", ") || text("noLabel", { most }) : most;
  const familiarity = answer.familiarity === null ? "familiarityUnknown" : isUnfamiliar(answer.familiarity) ? "strange" : "familiar";
  byId("familiarity").className = familiarity === "strange" ? "warning" : "quiet";
  byId("familiarity").textContent = text(familiarity, { share: percent(answer.familiarity, 0) });
  byId("seen-size").textContent = `${seen.naturalHeight}×${seen.naturalWidth}`;
  byId("curl").textContent = commandFor(given);
  offerToSave(given);
  drawPictures(given);
  offerClasses(answer, classCount, choose);
}

/** In per cent; what is 1 beside others above 0 was only rounded to it, unless each label has a probability of its own. */
function shareOf(probability, { labels, probabilities }) {
  const rounded = probability === 1 && !labels && probabilities.some((other) => other.probability > 0 && other.probability < 1);
  return percent(rounded ? 1 - Number.EPSILON : probability);
}

/** What was drawn or photographed here is in no file yet, so that the command would find none. */
function offerToSave({ whole, name, origin }) {
  const link = byId("save");
  link.hidden = Boolean(origin);
  if (link.href) URL.revokeObjectURL(link.href);
  if (origin) return link.removeAttribute("href");
  Object.assign(link, { href: URL.createObjectURL(whole), download: name, textContent: text("savePicture", { name }) });
}

/** Both pictures anew, without an attribution over them. */
export function drawPictures({ sent, seen }) {
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

/** The most probable classes; where there are more of them, a field to find the others by. */
function offerClasses(answer, classCount, choose) {
  const entries = answer.probabilities;
  const field = byId("find-class");
  const draw = () => {
    const wanted = field.value.trim().toLowerCase();
    const found = entries.filter(({ label }) => label.toLowerCase().includes(wanted));
    drawBars(found.slice(0, MOST_BARS), answer, choose);
    const counts = { shown: Math.min(found.length, MOST_BARS), found: found.length, of: entries.length, all: classCount };
    const key = wanted ? "classesFound" : "classesShown";
    byId("classes-note").textContent = many ? text(key, inWords(counts)) : "";
  };
  const many = entries.length > MOST_BARS;
  byId("find").hidden = !many;
  field.value = "";
  field.oninput = draw;
  draw();
}

const inWords = (counts) => Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, number(count)]));

function drawBars(entries, answer, choose) {
  const bars = byId("bars");
  const pressed = bars.querySelector('[aria-pressed="true"]')?.dataset.index;
  bars.replaceChildren(
    ...entries.map((entry) => {
      const bar = element("span", { className: "bar" });
      bar.style.width = `${100 * entry.probability}%`;
      const button = element(
        "button",
        { "aria-pressed": String(pressed === String(entry.index)), "data-index": entry.index },
        element("span", { className: "name" }, entry.label),
        element("span", { className: "track" }, bar),
        element("span", { className: "value" }, shareOf(entry.probability, answer)),
      );
      button.addEventListener("click", () => choose(entry));
      return button;
    }),
  );
  rove(bars, 1);
}
