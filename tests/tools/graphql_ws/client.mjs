// The client of `graphql-ws`: follows events, asks a query over the same connection, is refused,
// and is turned away with a wrong credential. Prints what it saw as one JSON object.
import { CloseCode, createClient } from "graphql-ws";
import WebSocket from "ws";
import { sendUntil } from "../sending.mjs";

const url = process.env.URL.replace("http", "ws");
const EVENTS = `subscription Events($id: ID) {
  messageEvents(messageId: $id, types: [MESSAGE_QUEUED]) { type message { subject } }
}`;

function clientWith(key) {
  const connectionParams = { Authorization: `Bearer ${key}` };
  return createClient({ url, webSocketImpl: WebSocket, connectionParams, retryAttempts: 0 });
}

function first(client, request) {
  return new Promise((resolve, reject) => {
    let found = null;
    const stop = client.subscribe(request, {
      next: (value) => {
        found ??= value;
        stop?.();
      },
      error: reject,
      complete: () => resolve(found),
    });
  });
}

async function refused(client) {
  try {
    return { value: await first(client, { query: EVENTS, variables: { id: "x" } }) };
  } catch (errors) {
    return { codes: errors.map((error) => error.extensions.code) };
  }
}

async function turnedAway() {
  try {
    await first(clientWith("pmta_00000000_wrong"), { query: EVENTS });
  } catch (closed) {
    return { code: closed.code, isForbidden: closed.code === CloseCode.Forbidden };
  }
}

async function iterated(client) {
  const events = client.iterate({ query: EVENTS });
  const { value } = await sendUntil(events.next());
  await events.return();
  return value.data.messageEvents.type;
}

const client = clientWith(process.env.KEY);
const event = await sendUntil(first(client, { query: EVENTS }));
console.log(
  JSON.stringify({
    event: event.data.messageEvents,
    iterated: await iterated(client),
    query: (await first(client, { query: "{ viewer { credential { kind } } }" })).data,
    refused: await refused(client),
    turnedAway: await turnedAway(),
  }),
);
await client.dispose();
