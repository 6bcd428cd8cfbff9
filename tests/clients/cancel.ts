// A program of an integrator with the generated TypeScript types: one cancellation, from the order to the settlement.

import createClient from "openapi-fetch";

import type { components, paths } from "./refunds.js";

// The types of Node.js would be another dependency, for one line.
declare const process: { argv: [node: string, program: string, address: string, token: string] };

const [, , baseUrl, token] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
const order_id = "A-typescript";

/** The data of a response, after checking its status. */
function checked<T>(answer: { data?: T; error?: components["schemas"]["Problem"]; response: Response }, status = 200): T {
  if (answer.data === undefined || answer.response.status !== status) {
    throw new Error(`${answer.response.status}: ${answer.error?.title} ${answer.error?.detail}`);
  }
  return answer.data;
}

const order = checked(
  await client.PUT("/v1/orders/{order_id}", {
    params: { path: { order_id } },
    body: { customer_ref: "C-1", service_provided_at: new Date().toISOString(), region: "DE-BY" },
  }),
  201,
);

const decision = checked(await client.GET("/v1/orders/{order_id}/eligibility", { params: { path: { order_id } } }));
if (!decision.eligible || decision.window === null) {
  throw new Error(`${order.order_id}: ${decision.reason_text}`);
}

const answer = await client.POST("/v1/cancellations", {
  params: { header: { "Idempotency-Key": "cancel-A-typescript" } },
  body: { order_id, contact: { channel: "phone" } },
});
const issued = checked(answer, 201);
const cancellation_id = answer.response.headers.get("Location")?.split("/").at(-1) ?? "";

const one = { path: { cancellation_id } };
const read = checked(await client.GET("/v1/cancellations/{cancellation_id}", { params: one }));
const begun = checked(
  await client.PUT("/v1/cancellations/{cancellation_id}/refund", { params: one, body: { billing_ref: "R-1" } }),
);
const settled = checked(
  await client.PUT("/v1/cancellations/{cancellation_id}/settlement", { params: one, body: { billing_ref: "R-1" } }),
);
if (read.reference !== issued.reference || settled.settlement?.billing_ref !== "R-1") {
  throw new Error(`${issued.reference} became ${read.reference}, ${settled.reference}`);
}

const feed = checked(await client.GET("/v1/events"));
const events: string[] = [];
for (const event of feed.items) {
  if (event.order_id === order_id) {
    events.push(event.type);
    // The type of an event tells the compiler what is in its data.
    if (event.type === "cancellation.issued" && event.data.reference !== issued.reference) {
      throw new Error(`${issued.reference} became ${event.data.reference}`);
    }
  }
}

console.log(JSON.stringify({ order, decision, issued, read, begun, settled, events }));
