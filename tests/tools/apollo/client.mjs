// Apollo's client as an application uses it: sends, pages through a list into its cache, is
// refused, and sends documents by their hash. Prints what it saw as one JSON object.
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { CombinedGraphQLErrors, ServerError } from "@apollo/client/errors";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { relayStylePagination } from "@apollo/client/utilities";

const { URL: url, KEY: key, SENDER: sender } = process.env;

const SEND = gql`
  mutation Send($input: SendMessageInput!) {
    sendMessage(input: $input) {
      receipt {
        uuid
      }
      message {
        ...MessageRow
      }
    }
  }
  fragment MessageRow on Message {
    id
    subject
    status
  }
`;
const LIST = gql`
  query List($first: Int!, $after: String) {
    organization {
      id
      messages(first: $first, after: $after) {
        edges {
          cursor
          node {
            id
            subject
            deliveries {
              id
              address
            }
          }
        }
        pageInfo {
          hasNextPage
          hasPreviousPage
          startCursor
          endCursor
        }
      }
    }
  }
`;
const NODE = gql`
  query Again($id: ID!) {
    node(id: $id) {
      id
      ... on Message {
        subject
        status
      }
    }
  }
`;

const BY_HASH = gql`
  query ByHash {
    viewer {
      credential {
        kind
      }
    }
  }
`;

const requests = [];

async function watched(target, options) {
  const body = options.body ? JSON.parse(options.body) : null;
  requests.push({
    method: options.method,
    hasText: Boolean(body?.query ?? new URL(target).searchParams.get("query")),
  });
  return fetch(target, options);
}

function clientWith(link, headers = { authorization: `Bearer ${key}` }) {
  const http = new HttpLink({ uri: url, fetch: watched, headers });
  const cache = new InMemoryCache({
    possibleTypes: { Node: ["Message", "Delivery", "Organization", "Domain"] },
    typePolicies: { Organization: { fields: { messages: relayStylePagination(["filter"]) } } },
  });
  return new ApolloClient({ cache, link: link ? ApolloLink.from([link, http]) : http });
}

async function sent(client) {
  const ids = [];
  for (const subject of ["1", "2", "3", "4", "5"]) {
    const input = { from: sender, to: [`ada${subject}@example.net`], subject, text: "Hello." };
    const { data } = await client.mutate({ mutation: SEND, variables: { input } });
    ids.push(data.sendMessage.message.id);
  }
  return ids;
}

async function paged(client) {
  const start = { query: LIST, variables: { first: 2 } };
  const list = client.watchQuery(start);
  const watching = list.subscribe({});
  let { data } = await client.query(start);
  let pages = 1;
  while (data.organization.messages.pageInfo.hasNextPage && pages < 10) {
    await list.fetchMore({ variables: { after: data.organization.messages.pageInfo.endCursor } });
    data = client.readQuery(start);
    pages += 1;
  }
  watching.unsubscribe();
  const { edges, pageInfo } = data.organization.messages;
  return {
    pages,
    subjects: edges.map((edge) => edge.node.subject),
    recipients: edges.flatMap((edge) => edge.node.deliveries.map((found) => found.address)),
    pageInfo: { hasNextPage: pageInfo.hasNextPage, hasPreviousPage: pageInfo.hasPreviousPage },
  };
}

async function cached(client, id) {
  const before = requests.length;
  const { data } = await client.query({ query: NODE, variables: { id } });
  const again = await client.query({ query: NODE, variables: { id } });
  return { subject: data.node.subject, same: again.data.node.id === id, requests: requests.length - before };
}

async function refused(client) {
  try {
    await client.mutate({ mutation: SEND, variables: { input: { from: sender, to: ["nobody"] } } });
  } catch (error) {
    const [first] = error.errors;
    const { code, details, requestId } = first.extensions;
    return {
      isGraphQL: CombinedGraphQLErrors.is(error),
      code,
      fields: details.map((detail) => detail.field),
      hasRequestId: requestId.length > 0,
      path: first.path,
    };
  }
}

async function unauthorized() {
  const client = clientWith(null, { authorization: "Bearer pmta_00000000_wrong" });
  try {
    await client.query({ query: LIST, variables: { first: 1 } });
  } catch (error) {
    return {
      status: ServerError.is(error) ? error.statusCode : null,
      code: CombinedGraphQLErrors.is(error) ? error.errors[0].extensions.code : null,
    };
  }
}

async function byHash(options) {
  const link = new PersistedQueryLink({
    sha256: (text) => createHash("sha256").update(text).digest("hex"),
    ...options,
  });
  const client = clientWith(link);
  const before = requests.length;
  for (let turn = 0; turn < 2; turn += 1) {
    await client.query({ query: BY_HASH, fetchPolicy: "network-only" });
  }
  return requests.slice(before);
}

const client = clientWith(null);
const ids = await sent(client);
console.log(
  JSON.stringify({
    paged: await paged(client),
    cached: await cached(clientWith(null), ids[0]),
    refused: await refused(client),
    unauthorized: await unauthorized(),
    byHash: await byHash({}),
    byHashAndGet: await byHash({ useGETForHashedQueries: true }),
  }),
);
