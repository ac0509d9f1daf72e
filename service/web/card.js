// What the model file says of itself: curves, confusion matrix, figures for each class. Knows no calls.

import { byId, element, rove } from "./elements.js";
import { fixed, number, text } from "./texts.js";

/** Draw the card; `curves` is the address of the picture of its learning curves, or null. */
export function drawCard(card, curves) {
  byId("card-text").textContent = [
    card.data && text("cardData", { name: card.data.name, count: number(card.data.training_pictures) }),
    card.training && text("cardTraining", { recipe: card.training.recipe, date: card.training.finished.slice(0, 10) }),
    card.evaluation && text("cardTest", { accuracy: number(card.evaluation.test.accuracy * 100, 2) }),
    !card.training && text("noCard"),
  ]
    .filter(Boolean)
    .join(" ");
  const parts = [];
  if (curves) {
    const picture = element("img", { className: "curves", src: curves, alt: text("curvesText") });
    parts.push(element("div", {}, element("h3", {}, text("curves")), picture));
  }
  if (card.evaluation) parts.push(perClass(card.evaluation.per_class), matrix(card));
  byId("card-parts").replaceChildren(...parts);
}

function perClass(figures) {
  const head = ["class", "precision", "recall", "f1"].map((key) => element("th", { scope: "col" }, text(key)));
  const rows = figures.map((entry) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, entry.name),
      ...[entry.precision, entry.recall, entry.f1].map((value) => element("td", {}, fixed(value, 3))),
    ),
  );
  return element("div", { className: "scroll" }, element("h3", {}, text("perClass")), element("table", {}, element("tr", {}, ...head), ...rows));
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
