// The words and numbers of the page in the language that the person chose. Knows no word itself.

import en from "./english.js";
import ko from "./korean.js";

const TEXTS = { en, ko };
const REMEMBERED = "language";

export function language() {
  const chosen = localStorage.getItem(REMEMBERED) ?? navigator.language.slice(0, 2);
  return chosen in TEXTS ? chosen : "en";
}

export function setLanguage(name) {
  localStorage.setItem(REMEMBERED, name);
}

/** The text known by `key`, with {names} replaced. */
export function text(key, values = {}) {
  return TEXTS[language()][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** The text known by `key`, or where there is none, by `otherwise`. */
export const textOr = (key, otherwise, values) => text(key in TEXTS[language()] ? key : otherwise, values);

/** A number as people write it, with up to so many decimals. */
export function number(value, decimals = 0) {
  return value.toLocaleString(language(), { maximumFractionDigits: decimals, signDisplay: "negative" });
}

/** A number of any size, by its first digits. */
export function significant(value) {
  return value.toLocaleString(language(), { maximumSignificantDigits: 6, signDisplay: "negative" });
}

/** A number with exactly so many decimals, for columns of numbers. */
export function fixed(value, decimals) {
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return value.toLocaleString(language(), { ...digits, signDisplay: "negative" });
}

/** A probability in per cent; what is only nearly certain or nearly ruled out is never written as 100% or 0%. */
export function percent(share, decimals = 1) {
  const least = 10 ** -decimals;
  if (share > 0 && share < (least / 100) / 2) return `<${number(least, decimals)}%`;
  if (share < 1 && share >= 1 - least / 100 / 2) return `>${number(100 - least, decimals)}%`;
  return `${number(share * 100, decimals)}%`;
}

/** Put the texts into all elements that name one: data-text as their content, data-label for those who listen. */
export function translate() {
  document.documentElement.lang = language();
  document.title = text("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text(element.dataset.label));
}
