// The command for a terminal that asks the same as the page did. Knows no element.

import { addressOf, PREDICT_QUERY, usesKey } from "./api.js";

/** For a sample the command fetches it first, so that it runs in any folder; any other picture is a file of the person's. */
export function commandFor({ name, whole, origin }) {
  const key = usesKey() ? ' -H "X-API-Key: $API_KEY"' : "";
  const from = (address) => new URL(address, document.baseURI);
  const part = quoted(`file=@${fileName(name)};type=${whole.type || "image/png"}`);
  const asking = `curl${key} -F ${part} "${from(addressOf("predict", PREDICT_QUERY))}"`;
  return origin?.address ? `curl -o ${name} "${from(origin.address)}" && ${asking}` : asking;
}

/** To curl, a comma or a semicolon ends the name of a file that is not in quotes. */
const fileName = (name) => (/[",;]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name);

/** In double quotes, which every system's terminal knows; in single ones where a shell would see more in it than text. */
const quoted = (words) => (/["$`\\!]/.test(words) ? `'${words.replaceAll("'", `'\\''`)}'` : `"${words}"`);
