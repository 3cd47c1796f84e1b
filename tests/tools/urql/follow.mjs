// urql following events over server-sent events, as its own fetch exchange does. Prints the
// first one.
import { Client, fetchExchange, gql } from "@urql/core";
import { sendUntil } from "../sending.mjs";

const { URL: url, KEY } = process.env;
const EVENTS = gql`
  subscription Events {
    messageEvents(types: [MESSAGE_QUEUED]) {
      type
      message {
        id
        subject
      }
    }
  }
`;

const client = new Client({
  url,
  exchanges: [fetchExchange],
  fetchSubscriptions: true,
  fetchOptions: { headers: { authorization: `Bearer ${KEY}` } },
});
const event = await sendUntil(
  new Promise((resolve, reject) => {
    const watching = client.subscription(EVENTS, {}).subscribe(({ data, error }) => {
      if (error) reject(error);
      if (!data) return;
      queueMicrotask(() => watching.unsubscribe());
      resolve(data.messageEvents);
    });
  }),
);
console.log(JSON.stringify({ type: event.type, subject: event.message.subject }));
