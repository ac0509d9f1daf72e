// The service's calls. Knows no page.

/** Something that the person is told: the problem's own words, or a key of texts.js. */
export class Problem extends Error {
  constructor(detail, key = null) {
    super(detail);
    this.key = key;
  }
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { Accept: "application/json" } });
  } catch {
    throw new Problem("the service cannot be reached", "unreachable");
  }
  let content;
  try {
    content = await response.json();
  } catch {
    throw new Problem(`${response.status} ${response.statusText}`);
  }
  if (!response.ok) throw new Problem(content.detail ?? `${response.status} ${response.statusText}`);
  return content;
}

function post(path, query, picture) {
  const form = new FormData();
  form.append("file", picture, "picture");
  return call(`${path}?${new URLSearchParams(query)}`, { method: "POST", body: form });
}

export const PREDICT_QUERY = { top_k: 1000, return_input: true };

export const getSummary = () => call("model-summary");
export const getCard = () => call("model-card");
export const predict = (picture) => post("predict", PREDICT_QUERY, picture);
export const featureMaps = (picture) => post("plot/feature-maps", {}, picture);
export const attribution = (picture, method, index) => post("plot/attribution", { method, class: index }, picture);
export const trace = (picture, layer, filter, row, column) => post("trace", { layer, filter, row, column }, picture);
