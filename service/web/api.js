// The service's calls, and what is no answer of the service. Knows no page.

/** Something that the person is told: the problem's own words, or a key of the texts and what to put into that. */
export class Problem extends Error {
  constructor(detail, key = null, status = null, values = {}) {
    super(detail);
    Object.assign(this, { key, status, values });
  }
}

const KEY = "api-key";
const JSON_TYPE = "application/json";
const ARRAY_TYPE = "application/octet-stream";
/** The model that the page's address names, or null for the default one. */
export const chosenModel = new URLSearchParams(location.search).get("model");

/** Send this API key with each call from now on, until the browser's tab is closed. */
export const useKey = (key) => sessionStorage.setItem(KEY, key);

export const usesKey = () => sessionStorage.getItem(KEY) !== null;

/** A call's address, relative to the page: the service may lie anywhere below a host. */
export function addressOf(path, query = {}) {
  return `${path}?${new URLSearchParams(chosenModel === null ? query : { ...query, model: chosenModel })}`;
}

async function ask(address, options = {}, accept = JSON_TYPE, version = null) {
  const headers = { Accept: accept };
  const key = sessionStorage.getItem(KEY);
  if (key) headers["X-API-Key"] = key;
  try {
    const response = await fetch(address, { ...options, headers });
    const media = response.headers.get("Content-Type") ?? "";
    const wanted = { [JSON_TYPE]: "json", [ARRAY_TYPE]: ARRAY_TYPE }[accept] ?? "image/";
    if (!response.ok) throw await problemOf(response, media, options.body);
    if (!media.includes(wanted)) throw new Problem(`no answer of the service: ${media}`, "notTheService", null, { status: response.status });
    const other = response.headers.get("Model-Version");
    if (version && other && other !== version) throw new Problem("another version answers", "modelChanged");
    return await (wanted === "json" ? response.json() : wanted === ARRAY_TYPE ? response.arrayBuffer() : response.blob());
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

/** The version whose answer is shown: whatever explains it has to be of the same. */
let answering = null;

function post(path, query, picture, accept) {
  const form = new FormData();
  form.append("file", picture, "picture");
  return ask(addressOf(path, query), { method: "POST", body: form }, accept, path === "predict" ? null : answering);
}

export const PREDICT_QUERY = { top_k: 1000, return_input: true };

export const getSummary = () => ask(addressOf("model-summary"));
export const getCard = () => ask(addressOf("model-card"));
/** All models that are served: name, version and state of each. */
export const getModels = () => ask("v2/repository/index", { method: "POST" });
export const sampleAddress = (number) => `web/samples/${number}.png`;
export const getSample = (number) => ask(sampleAddress(number), {}, "image/png");
/** The learning curves as a picture; an <img> alone could not send the key. */
export const getCurves = () => ask(addressOf("plot/history"), {}, "image/svg+xml");
/** A convolution's kernels as a picture, and the model as Keras draws it (`graph`) or to scale (`blocks`). */
export const getKernels = (layer) => ask(addressOf("plot/kernels", { layer, format: "png" }), {}, "image/png");
export const getDiagram = (style) => ask(addressOf("plot", { style, format: "png" }), {}, "image/png");
export async function predict(picture) {
  const answer = await post("predict", PREDICT_QUERY, picture);
  answering = answer.model.version;
  return answer;
}
/** The numbers that all layers make. */
export const featureMaps = (picture) => post("plot/feature-maps", {}, picture);
/** Those of one layer, in the bytes of a .npy file: about half of what they are in JSON. */
export const packedMaps = (picture, layer) => post("plot/feature-maps", { layer, format: "npy" }, picture, ARRAY_TYPE);
/** The same as a picture. */
export const drawnMaps = (picture, layer) => post("plot/feature-maps", { layer, order: "strongest" }, picture, "image/png");
export const attribution = (picture, method, label) => post("plot/attribution", { method, class: label }, picture);
export const trace = (picture, layer, filter, row, column) => post("trace", { layer, filter, row, column }, picture);

// So many weights are asked for as numbers: some five megabytes.
const MOST_WEIGHTS = 500_000;
const kernelsOf = new Map();

/** The kernels of a convolution as numbers, asked for once; null where there are none, or too many. */
export function kernels(layer) {
  if (layer.parameters > MOST_WEIGHTS) return Promise.resolve(null);
  const which = `${answering} ${layer.name}`;
  if (!kernelsOf.has(which)) kernelsOf.set(which, ask(addressOf("plot/kernels", { layer: layer.name, format: "json" }), {}, JSON_TYPE, answering));
  return kernelsOf.get(which).catch(() => {
    kernelsOf.delete(which);
    return null;
  });
}
