// What the model file says of itself: curves, confusion matrix, figures for each class. Knows no calls.

import { byId, element, rove } from "./elements.js";
import { fixed, number, text } from "./texts.js";

// Of more classes than that, those that are told worst from the others say most.
const MOST_CLASSES = 30;
const MOST_WORST = 20;

/** Draw the card, without its learning curves. */
export function drawCard(card) {
  const guessed = card.sources.filter((source) => source.guessed);
  byId("card-text").textContent = [
    card.data && text("cardData", { name: card.data.name, count: number(card.data.training_pictures) }),
    card.training && text("cardTraining", { recipe: card.training.recipe, date: card.training.finished.slice(0, 10) }),
    card.evaluation && text("cardTest", { accuracy: number(card.evaluation.test.accuracy * 100, 2) }),
    !card.training && text("noCard"),
    guessed.length && text("guessed", { list: guessed.map(({ field, value }) => `${field} ${value}`).join(", ") }),
  ]
    .filter(Boolean)
    .join(" ");
  const parts = [];
  if (card.evaluation) {
    parts.push(perClass(card.evaluation.per_class), card.class_names.length > MOST_CLASSES ? confusions(card) : matrix(card));
  }
  byId("card-parts").replaceChildren(...parts);
}

/** Put the learning curves, the picture at the address `curves`, before what is drawn of the card. */
export function drawCurves(curves) {
  const picture = element("img", { className: "curves", src: curves, alt: text("curvesText") });
  const region = element("div", { className: "scroll", role: "region", tabIndex: 0, "aria-label": text("curves") }, picture);
  byId("card-parts").prepend(element("div", {}, element("h3", {}, text("curves")), region));
}

function perClass(all) {
  const many = all.length > MOST_CLASSES;
  const figures = many ? all.toSorted((a, b) => a.f1 - b.f1).slice(0, MOST_WORST) : all;
  const head = ["class", "precision", "recall", "f1"].map((key) => element("th", { scope: "col" }, text(key)));
  const rows = figures.map((entry) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, entry.name),
      ...[entry.precision, entry.recall, entry.f1].map((value) => element("td", {}, fixed(value, 3))),
    ),
  );
  return element("div", { className: "scroll" }, element("h3", {}, text(many ? "perClassWorst" : "perClass")), element("table", {}, element("tr", {}, ...head), ...rows));
}

function matrix(card) {
  const names = card.class_names;
  const meaning = element("p", { id: "cell", role: "status" }, text("chooseCell"));
  const head = element("tr", {}, element("td"), ...names.map((name) => element("th", { scope: "col" }, name)));
  const rows = card.evaluation.confusion_matrix.map((counts, row) => {
    const whole = counts.reduce((sum, count) => sum + count, 0);
    const cells = counts.map((count, column) => {
      const share = count / Math.max(1, whole);
      const values = { count: number(count), whole: number(whole), real: names[row], said: names[column] };
      const sentence = text(row === column ? "cellRight" : "cellWrong", values);
      const button = element("button", { "aria-label": sentence }, number(count));
      button.addEventListener("click", () => (meaning.textContent = sentence));
      const cell = element("td", {}, button);
      cell.style.background = `color-mix(in srgb, var(--bar) ${Math.round(100 * Math.sqrt(share))}%, transparent)`;
      return cell;
    });
    return element("tr", {}, element("th", { scope: "row" }, names[row]), ...cells);
  });
  const grid = element("table", { className: "matrix" }, head, ...rows);
  rove(grid, names.length);
  return element("div", { className: "wide" }, element("h3", {}, text("matrix")), meaning, element("div", { className: "scroll" }, grid));
}

/** What is taken for something else most often. */
function confusions({ class_names: names, evaluation }) {
  const found = evaluation.confusion_matrix.flatMap((counts, row) => {
    const whole = counts.reduce((sum, count) => sum + count, 0);
    return counts.flatMap((count, column) => (row === column || !count ? [] : [{ count, whole, real: names[row], said: names[column] }]));
  });
  const worst = found.sort((a, b) => b.count - a.count).slice(0, MOST_WORST);
  const lines = worst.map((one) => element("li", {}, text("cellWrong", { ...one, count: number(one.count), whole: number(one.whole) })));
  return element("div", {}, element("h3", {}, text("confusions")), element("ul", {}, ...lines));
}
