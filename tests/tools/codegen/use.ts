// An application that is written against the generated types; it compiles only if they say what
// the server does. Prints what it saw as one JSON object.
import { print } from "graphql";
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { AgainDocument, MessagesDocument, SendDocument } from "./generated";
import type { ErrorCode, Message, RemoveMutationVariables, SendMessageInput } from "./generated";

type Same<A, B> = [A, B] extends [B, A] ? true : false;
const scalars: [
  Same<Message["id"], string>,
  Same<Message["uuid"], string>,
  Same<Message["number"], number>,
  Same<Message["createdAt"], string>,
  Same<Message["completedAt"], string | null>,
  Same<Message["metadata"], unknown>,
] = [true, true, true, true, true, true];

const byAddress: RemoveMutationVariables = { input: { suppression: { address: "ada@example.net" } } };
// @ts-expect-error: it is by id or by address, never by both.
const byBoth: RemoveMutationVariables = { input: { suppression: { address: "a@example.net", id: "1" } } };
// @ts-expect-error: `to` is a list.
const wrong: SendMessageInput = { from: "a@example.net", to: "b@example.net" };
void [byAddress, byBoth, wrong];

async function run<Data, Variables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const answer = await fetch(process.env.URL!, {
    method: "POST",
    headers: { authorization: `Bearer ${process.env.KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const body = (await answer.json()) as {
    data?: Data;
    errors?: { message: string; extensions: { code: ErrorCode } }[];
  };
  if (body.errors || !body.data) throw new Error(JSON.stringify(body.errors));
  return body.data;
}

async function main() {
  const input: SendMessageInput = {
    from: process.env.SENDER!,
    to: ["ada@example.net"],
    subject: "Typed",
    text: "Hello.",
    metadata: { order: "1001" },
  };
  const sent = await run(SendDocument, { input });
  const { organization } = await run(MessagesDocument, { first: 1 });
  const [message] = organization.messages.nodes;
  const { node } = await run(AgainDocument, { id: message.id });
  const subject: string | null = node?.__typename === "Message" ? node.subject : null;
  const made = new Date(message.createdAt);
  console.log(
    JSON.stringify({
      scalars,
      recipients: sent.sendMessage.receipt.recipients.map(({ kind }) => kind),
      subject,
      metadata: message.metadata,
      isNumber: Number.isSafeInteger(message.number),
      isTime: !Number.isNaN(made.getTime()),
      total: organization.messages.totalCount,
    }),
  );
}

void main();
