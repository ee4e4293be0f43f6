// Uses the generated types with openapi-fetch: `client.ts URL TOKEN` prints what it got as JSON.

import createClient from "openapi-fetch";
import type { components, paths } from "./api.ts";

declare const process: { argv: string[] };
const [baseUrl, token] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

function given<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

/** Without `Prefer` the response is never 202, which the types cannot know. */
function ended<T extends object>(response: T): Extract<T, { result: unknown }> {
  if (!("result" in response)) throw new Error(JSON.stringify(response));
  return response as Extract<T, { result: unknown }>;
}

const session = given(
  await client.POST("/api/v1/initialize", {
    params: { header: { "Language-Title": "nodejs-generated" } },
    body: { script_content: "return [event.params, event.context.rate];", context: { rate: 2 } },
  }),
);
const path = { request_id: session.request_id };
const executed = ended(
  given(await client.POST("/api/v1/execute/{request_id}", { params: { path }, body: { params: { a: [1, null] } } })),
);
const bare = ended(
  given(
    await client.POST("/api/v1/execute/{request_id}", {
      params: { path },
      headers: { "Content-Type": "application/json" },
    }),
  ),
);
const lines: string = given(
  await client.POST("/api/v1/execute/{request_id}/batch", {
    params: { path },
    body: { items: [{ params: 1 }, { params: 2 }] },
    parseAs: "text",
  }),
);
const batch = lines
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as components["schemas"]["BatchLine"]);
const shown = given(await client.GET("/api/v1/sessions/{request_id}", { params: { path } }));
const picked = given(
  await client.GET("/api/v1/sessions/{request_id}", { params: { path, query: { fields: ["version", "status"] } } }),
);
const missing = await client.GET("/api/v1/sessions/{request_id}", {
  params: { path: { request_id: "01a2101f-9ff2-79ec-8000-00000000ffff" } },
});
const code: components["schemas"]["ErrorCode"] | undefined = missing.error?.error.code;
const closed = await client.DELETE("/api/v1/sessions/{request_id}", {
  params: { path, header: { "If-Match": '"1"' } },
});
console.log(
  JSON.stringify({
    executed: executed.result,
    bare: bare.result,
    batch: batch.map((line) => line.result),
    count: shown.execution_count,
    picked,
    error: code,
    closed: closed.response.status,
  }),
);
