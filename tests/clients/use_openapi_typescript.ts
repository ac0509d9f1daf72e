// Calls the service at the address given, with an image and a file that is none, by openapi-typescript's types.
import assert from "node:assert/strict";
import { openAsBlob } from "node:fs";
import { readFile } from "node:fs/promises";

import createClient from "openapi-fetch";

import type { components, paths } from "./schema.d.ts";

type Result = components["schemas"]["BatchResult"];

const [address, imageFile, otherFile] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl: address });
const image = await openAsBlob(imageFile);
const other = await openAsBlob(otherFile);

// The types have text for what is binary, so that the bytes come by the serializer.
function form(field: string, ...files: [string, Blob][]): () => FormData {
  const data = new FormData();
  for (const [name, content] of files) data.append(field, content, name);
  return () => data;
}

const health = await client.GET("/health/live");
assert.equal(health.data?.status, "live");

const query = { top_k: 2, preparation: "none" } as const;
const byForm = await client.POST("/predict", {
  params: { query },
  body: { file: "" },
  bodySerializer: form("file", ["boot.png", image]),
});
const byBody = await client.POST("/predict", {
  params: { query },
  headers: { "Content-Type": "image/png" },
  body: "",
  bodySerializer: () => image,
});
for (const { data } of [byForm, byBody]) {
  assert.equal(data?.label, "Ankle boot");
  assert.equal(data.probabilities.length, 2);
}

const refused = await client.POST("/predict", {
  body: { file: "" },
  bodySerializer: form("file", ["notes.txt", other]),
});
assert.equal(refused.error?.status, 415);
assert.match(refused.error.detail, /not an image/);

const batch = await client.POST("/predict/batch", {
  body: { files: [] },
  bodySerializer: form("files", ["boot.png", image], ["notes.txt", other]),
});
const told = (result: Result) => ("problem" in result ? result.problem.status : result.prediction.label);
assert.deepEqual(batch.data?.results.map(told), ["Ankle boot", 415]);

const { data: card } = await client.GET("/model-card");
assert.equal(card?.class_names[9], "Ankle boot");
assert.ok((card.evaluation?.test.accuracy ?? 0) > 0.9);

const b64 = (await readFile(imageFile)).toString("base64");
const path = { model: card.name };
const rows = await client.POST("/v1/models/{model}:predict", { params: { path }, body: { instances: [{ b64 }] } });
const inferred = await client.POST("/v2/models/{model}/infer", {
  params: { path },
  body: { inputs: [{ name: "input", shape: [1], datatype: "BYTES", data: [b64] }] },
});
assert.ok(rows.data && "predictions" in rows.data);
assert.ok(typeof inferred.data === "object"); // and not in binary
assert.deepEqual(inferred.data.outputs[0]?.data, rows.data.predictions[0]);

const metrics = await client.GET("/metrics", { parseAs: "text" });
assert.match(metrics.data ?? "", /keras_service_requests_total/);
