// Pictures that the service draws, asked for when their part of the page is opened. Knows no calls.

import { byId, element } from "./elements.js";
import { text } from "./texts.js";

/**
 * Show in a `<details>` what `draw()` resolves to, a Blob, once it is open and each time `again()` is called then.
 *
 * `draw` may return a sentence instead, in place of a picture. Failures are told by `tell(error)`. Returns `again`.
 */
export function drawnWhenOpen(details, describe, draw, tell) {
  const place = details.querySelector(".drawing");
  const note = details.querySelector("[role=status]");
  let current = 0;
  const again = async () => {
    current += 1;
    const own = current;
    place.replaceChildren();
    note.textContent = "";
    if (!details.open) return;
    note.textContent = text("drawingWaiting");
    try {
      const drawn = await draw();
      if (own !== current) return;
      note.textContent = drawn instanceof Blob ? "" : drawn;
      if (drawn instanceof Blob) place.replaceChildren(picture(drawn, describe()));
    } catch (error) {
      if (own === current) note.textContent = tell(error);
    }
  };
  details.addEventListener("toggle", again);
  return again;
}

function picture(blob, alt) {
  const image = element("img", { src: URL.createObjectURL(blob), alt });
  image.onload = () => URL.revokeObjectURL(image.src);
  return image;
}

/** Offer names in a field, and keep the one that is chosen where it is still there. */
export function offer(id, names) {
  const field = byId(id);
  const chosen = field.value;
  field.replaceChildren(...names.map((name) => element("option", { value: name, selected: name === chosen }, name)));
}
