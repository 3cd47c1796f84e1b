// Apollo's client following events over a WebSocket. Prints the first one.
import { ApolloClient, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
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

const socket = createClient({
  url: url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: { Authorization: `Bearer ${KEY}` },
});
const client = new ApolloClient({ cache: new InMemoryCache(), link: new GraphQLWsLink(socket) });
const event = await sendUntil(
  new Promise((resolve, reject) => {
    const watching = client.subscribe({ query: EVENTS }).subscribe({
      next: ({ data }) => {
        watching.unsubscribe();
        resolve(data.messageEvents);
      },
      error: reject,
    });
  }),
);
console.log(JSON.stringify({ type: event.type, subject: event.message.subject }));
await socket.dispose();
