// The service's calls, and what is no answer of the service. Knows no page.

/** Something that the person is told: the problem's own words, or a key of the texts and what to put into that. */
export class Problem extends Error {
  constructor(detail, key = null, status = null, values = {}) {
    super(detail);
    Object.assign(this, { key, status, values });
  }
}

const KEY = "api-key";
/** The model that the page's address names, or null for the default one. */
export const chosenModel = new URLSearchParams(location.search).get("model");

/** Send this API key with each call from now on, until the browser's tab is closed. */
export const useKey = (key) => sessionStorage.setItem(KEY, key);

/** A call's address, relative to the page: the service may lie anywhere below a host. */
export function addressOf(path, query = {}) {
  return `${path}?${new URLSearchParams(chosenModel === null ? query : { ...query, model: chosenModel })}`;
}

async function ask(address, options = {}, accept = "application/json") {
  const headers = { Accept: accept };
  const key = sessionStorage.getItem(KEY);
  if (key) headers["X-API-Key"] = key;
  try {
    const response = await fetch(address, { ...options, headers });
    const media = response.headers.get("Content-Type") ?? "";
    const wanted = accept === "application/json" ? "json" : "image/";
    if (!response.ok) throw await problemOf(response, media, options.body);
    if (!media.includes(wanted)) throw new Problem(`no answer of the service: ${media}`, "notTheService", null, { status: response.status });
    return await (wanted === "json" ? response.json() : response.blob());
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem("the service cannot be reached", navigator.onLine ? "unreachable" : "offline");
  }
}

/** The service's own words, or, where something before it has refused the call, ours. */
async function problemOf(response, media, body) {
  const { status, statusText } = response;
  const told = media.includes("json") ? await response.json().catch(() => null) : null;
  if (typeof told?.detail === "string") return new Problem(told.detail, null, status);
  const key = { 413: "tooLargeForProxy", 502: "proxyAlone", 503: "proxyAlone", 504: "proxyAlone" }[status];
  const bytes = body?.get("file")?.size ?? 0;
  return new Problem(`${status} ${statusText}`, key ?? "notTheService", status, { status, megabytes: bytes / 1e6 });
}

function post(path, query, picture, accept) {
  const form = new FormData();
  form.append("file", picture, "picture");
  return ask(addressOf(path, query), { method: "POST", body: form }, accept);
}

export const PREDICT_QUERY = { top_k: 1000, return_input: true };

export const getSummary = () => ask(addressOf("model-summary"));
export const getCard = () => ask(addressOf("model-card"));
/** All models that are served: name, version and state of each. */
export const getModels = () => ask("v2/repository/index", { method: "POST" });
export const getSample = (number) => ask(`web/samples/${number}.png`, {}, "image/png");
/** The learning curves as a picture; an <img> alone could not send the key. */
export const getCurves = () => ask(addressOf("plot/history"), {}, "image/svg+xml");
export const predict = (picture) => post("predict", PREDICT_QUERY, picture);
/** The numbers that all layers make, or `layer` alone. */
export const featureMaps = (picture, layer) => post("plot/feature-maps", layer ? { layer } : {}, picture);
/** The same of one layer as a picture. */
export const drawnMaps = (picture, layer) => post("plot/feature-maps", { layer, order: "strongest" }, picture, "image/png");
export const attribution = (picture, method, label) => post("plot/attribution", { method, class: label }, picture);
export const trace = (picture, layer, filter, row, column) => post("trace", { layer, filter, row, column }, picture);
