// Relay's runtime with what its compiler made of `messages.ts`: a list that grows page by page,
// a message that is sent into it, an object found again by its id, and a refusal. Prints what
// it saw as one JSON object.
import {
  Environment,
  Network,
  RecordSource,
  Store,
  commitMutation,
  createOperationDescriptor,
  fetchQuery,
  getSelector,
} from "relay-runtime";
import type { GraphQLResponse, ReaderFragment } from "relay-runtime";

import againQuery from "./__generated__/messagesAgainQuery.graphql";
import type { messagesAgainQuery } from "./__generated__/messagesAgainQuery.graphql";
import listQuery from "./__generated__/messagesListQuery.graphql";
import type { messagesListQuery } from "./__generated__/messagesListQuery.graphql";
import pageQuery from "./__generated__/messagesPageQuery.graphql";
import type { messagesPageQuery } from "./__generated__/messagesPageQuery.graphql";
import sendMutation from "./__generated__/messagesSendMutation.graphql";
import type { messagesSendMutation } from "./__generated__/messagesSendMutation.graphql";
import suppressMutation from "./__generated__/messagesSuppressMutation.graphql";
import type { messagesSuppressMutation } from "./__generated__/messagesSuppressMutation.graphql";
import detailFragment from "./__generated__/messages_detail.graphql";
import type { messages_detail$data } from "./__generated__/messages_detail.graphql";
import listFragment from "./__generated__/messages_list.graphql";
import type { messages_list$data } from "./__generated__/messages_list.graphql";
import rowFragment from "./__generated__/messages_row.graphql";
import type { messages_row$data } from "./__generated__/messages_row.graphql";

const url = process.env.URL!;
const sender = process.env.SENDER!;

const environment = new Environment({
  network: Network.create(async ({ text, name }, variables) => {
    const answer = await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${process.env.KEY}`, "content-type": "application/json" },
      body: JSON.stringify({ query: text, operationName: name, variables }),
    });
    return (await answer.json()) as GraphQLResponse;
  }),
  store: new Store(new RecordSource()),
});

function read<Data>(fragment: ReaderFragment, reference: unknown): Data {
  const selector = getSelector(fragment, reference);
  if (selector?.kind !== "SingularReaderSelector") throw new Error(`no ${fragment.name}`);
  const { data, isMissingData } = environment.lookup(selector);
  if (isMissingData) throw new Error(`${fragment.name} misses data`);
  return data as unknown as Data;
}

function listed(): messages_list$data & { hasNextPage: boolean; endCursor: string | null } {
  const operation = createOperationDescriptor(listQuery, {});
  const data = environment.lookup(operation.fragment).data as unknown;
  const { organization } = data as messagesListQuery["response"];
  // The page's state is the fragment's own: a component sees it through `usePaginationFragment`.
  const found = read<any>(listFragment, organization);
  return { ...found, ...found.messages.pageInfo };
}

function subjects(): string[] {
  const rows = listed().messages.edges.map(({ node }) => read<messages_row$data>(rowFragment, node));
  return rows.map((row) => row.subject);
}

function send(input: messagesSendMutation["variables"]["input"], connections: string[] = []) {
  return new Promise<messagesSendMutation["response"]>((resolve, reject) => {
    commitMutation<messagesSendMutation>(environment, {
      mutation: sendMutation,
      variables: { input, connections },
      onCompleted: (response, errors) => (errors?.length ? reject(errors) : resolve(response)),
      onError: reject,
    });
  });
}

async function again(id: string) {
  const found = await fetchQuery<messagesAgainQuery>(environment, againQuery, { id }).toPromise();
  const detail = read<messages_detail$data>(detailFragment, found?.node?.message);
  return { row: read<messages_row$data>(rowFragment, detail).subject, deliveries: detail.deliveries };
}

async function refused() {
  try {
    await send({ from: sender, to: ["nobody"] });
  } catch (error) {
    const [first] = (error as { source?: { errors: any[] } }).source?.errors ?? (error as any[]);
    return { code: first.extensions.code, field: first.extensions.field };
  }
}

async function suppressed() {
  return new Promise<messagesSuppressMutation["response"]>((resolve, reject) => {
    commitMutation<messagesSuppressMutation>(environment, {
      mutation: suppressMutation,
      variables: { input: { address: "gone@example.net" } },
      onCompleted: (response) => resolve(response),
      onError: reject,
    });
  });
}

async function main() {
  for (const subject of ["1", "2", "3", "4", "5"]) {
    await send({ from: sender, to: ["ada@example.net"], subject, text: "Hello." });
  }
  const first = await fetchQuery<messagesListQuery>(environment, listQuery, {}).toPromise();
  environment.retain(createOperationDescriptor(listQuery, {}));
  const pages = [subjects()];
  for (let { id, hasNextPage, endCursor } = listed(); hasNextPage; { hasNextPage, endCursor } = listed()) {
    const variables = { id, count: 2, cursor: endCursor, filter: null };
    await fetchQuery<messagesPageQuery>(environment, pageQuery, variables).toPromise();
    pages.push(subjects());
  }
  const connection = `client:${listed().id}:__messages_list_messages_connection`;
  const sixth = { from: sender, to: ["ada@example.net"], subject: "6", text: "Hello." };
  const sent = await send(sixth, [connection]);
  console.log(
    JSON.stringify({
      kind: first?.viewer.credential.kind,
      pages,
      afterSending: subjects(),
      again: await again(sent.sendMessage.message!.id),
      refused: await refused(),
      suppressed: (await suppressed()).addSuppression.suppression,
    }),
  );
}

void main();
