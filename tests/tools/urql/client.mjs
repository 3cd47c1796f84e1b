// urql as an application uses it, with its normalizing cache: sends, pages through a list, is
// refused, and sends documents by their hash. Prints what it saw as one JSON object.
import { Client, fetchExchange, gql } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { persistedExchange } from "@urql/exchange-persisted";
import { getIntrospectionQuery } from "graphql";

const { URL: url, KEY: key, SENDER: sender } = process.env;

const ROW = gql`
  fragment MessageRow on Message {
    id
    subject
  }
`;
const SEND = gql`
  mutation Send($input: SendMessageInput!) {
    sendMessage(input: $input) {
      message {
        ...MessageRow
      }
    }
  }
  ${ROW}
`;
const LIST = gql`
  query List($first: Int!, $after: String) {
    organization {
      id
      messages(first: $first, after: $after) {
        edges {
          node {
            ...MessageRow
          }
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  }
  ${ROW}
`;
const NODE = gql`
  query Again($id: ID!) {
    node(id: $id) {
      id
      ... on Message {
        subject
      }
    }
  }
`;

const headers = { authorization: `Bearer ${key}` };
const requests = [];

function watched(target, options) {
  const body = options.body ? JSON.parse(options.body) : null;
  const hasText = Boolean(body?.query ?? new URL(target).searchParams.get("query"));
  requests.push({ method: options.method, hasText });
  return fetch(target, options);
}

async function schema() {
  const body = JSON.stringify({ query: getIntrospectionQuery({ descriptions: false }) });
  const answer = await fetch(url, {
    method: "POST",
    body,
    headers: { ...headers, "content-type": "application/json" },
  });
  return (await answer.json()).data;
}

function clientWith(exchanges) {
  return new Client({ url, exchanges, fetch: watched, fetchOptions: { headers }, preferGetMethod: false });
}

function cacheOf(introspected) {
  return cacheExchange({
    schema: introspected,
    keys: Object.fromEntries(
      ["MessageConnection", "MessageEdge", "PageInfo", "SendMessagePayload"].map((name) => [name, () => null]),
    ),
    resolvers: { Organization: { messages: relayPagination() } },
  });
}

async function sent(client) {
  const ids = [];
  for (const subject of ["1", "2", "3", "4", "5"]) {
    const input = { from: sender, to: ["ada@example.net"], subject, text: "Hello." };
    const { data, error } = await client.mutation(SEND, { input });
    if (error) throw error;
    ids.push(data.sendMessage.message.id);
  }
  return ids;
}

async function paged(client) {
  let after = null;
  for (let pages = 1; ; pages += 1) {
    const { data, error } = await client.query(LIST, { first: 2, after });
    if (error) throw error;
    const { edges, pageInfo } = data.organization.messages;
    if (!pageInfo.hasNextPage) return { pages, subjects: edges.map((edge) => edge.node.subject) };
    after = pageInfo.endCursor;
  }
}

async function refused(client) {
  const input = { from: sender, to: ["nobody"] };
  const { error } = await client.mutation(SEND, { input });
  const { code, field } = error.graphQLErrors[0].extensions;
  return { code, field, network: error.networkError?.message ?? null };
}

async function cached(client, id) {
  const before = requests.length;
  const found = [await client.query(NODE, { id }), await client.query(NODE, { id })];
  return { subjects: found.map(({ data }) => data.node.subject), requests: requests.length - before };
}

async function byHash(preferGetForPersistedQueries) {
  const client = clientWith([persistedExchange({ preferGetForPersistedQueries }), fetchExchange]);
  const before = requests.length;
  for (let turn = 0; turn < 2; turn += 1) {
    const { error } = await client.query(LIST, { first: 1 }, { requestPolicy: "network-only" });
    if (error) throw error;
  }
  return requests.slice(before);
}

const introspected = await schema();
const client = clientWith([cacheOf(introspected), fetchExchange]);
const ids = await sent(client);
console.log(
  JSON.stringify({
    paged: await paged(client),
    refused: await refused(client),
    cached: await cached(clientWith([cacheOf(introspected), fetchExchange]), ids[0]),
    byHash: await byHash(false),
    byHashAndGet: await byHash(true),
  }),
);
