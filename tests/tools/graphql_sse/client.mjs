// The client of `graphql-sse` in its distinct connections mode: follows events, asks a query, is
// refused, and is turned away with a wrong credential. Prints what it saw as one JSON object.
import { createClient } from "graphql-sse";
import { sendUntil } from "../sending.mjs";

const { URL: url, KEY } = process.env;
const EVENTS = `subscription Events($id: ID) {
  messageEvents(messageId: $id, types: [MESSAGE_QUEUED]) { type message { subject } }
}`;

function clientWith(key) {
  return createClient({ url, headers: { Authorization: `Bearer ${key}` }, retryAttempts: 0 });
}

async function first(client, request) {
  const values = client.iterate(request);
  const { value } = await values.next();
  await values.return();
  return value;
}

async function turnedAway() {
  try {
    await first(clientWith("pmta_00000000_wrong"), { query: EVENTS });
  } catch (error) {
    return { status: error.response?.status ?? null };
  }
}

const client = clientWith(KEY);
const event = await sendUntil(first(client, { query: EVENTS }));
const refused = await first(client, { query: EVENTS, variables: { id: "x" } });
console.log(
  JSON.stringify({
    event: event.data.messageEvents,
    query: (await first(client, { query: "{ viewer { credential { kind } } }" })).data,
    refused: refused.errors.map((error) => error.extensions.code),
    turnedAway: await turnedAway(),
  }),
);
client.dispose();
