// The service's calls. Knows no page.

/** Something that the person is told: the problem's own words, or a key of texts.js. */
export class Problem extends Error {
  constructor(detail, key = null, status = null) {
    super(detail);
    this.key = key;
    this.status = status;
  }
}

const KEY = "api-key";

/** Send this API key with each call from now on, until the browser's tab is closed. */
export const useKey = (key) => sessionStorage.setItem(KEY, key);

async function ask(path, options = {}, accept = "application/json") {
  let response;
  const headers = { Accept: accept };
  const key = sessionStorage.getItem(KEY);
  if (key) headers["X-API-Key"] = key;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Problem("the service cannot be reached", "unreachable");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Problem(told.detail ?? `${response.status} ${response.statusText}`, null, response.status);
}

const call = async (path, options) => (await ask(path, options)).json();

function post(path, query, picture) {
  const form = new FormData();
  form.append("file", picture, "picture");
  return call(`${path}?${new URLSearchParams(query)}`, { method: "POST", body: form });
}

export const PREDICT_QUERY = { top_k: 1000, return_input: true };

export const getSummary = () => call("model-summary");
export const getCard = () => call("model-card");
/** The address of a picture of the learning curves; an <img> alone could not send the key. */
export const getCurves = async () =>
  URL.createObjectURL(await (await ask("plot/history", {}, "image/svg+xml")).blob());
export const predict = (picture) => post("predict", PREDICT_QUERY, picture);
export const featureMaps = (picture) => post("plot/feature-maps", {}, picture);
export const attribution = (picture, method, index) => post("plot/attribution", { method, class: index }, picture);
export const trace = (picture, layer, filter, row, column) => post("trace", { layer, filter, row, column }, picture);
