// Sends with PostageApp's own client, as an application would, and tells what it was answered.
const PostageApp = require("postageapp");

const { HOST: host, PORT: port, KEY: apiKey, SENDER: from, RECIPIENT: to } = process.env;
const client = new PostageApp({ apiKey, host, port: Number(port) });

const message = {
  recipients: {
    [`Ann <${to}>`]: { name: "Ann & Co", total: 12.5 },
    [`second-${to}`]: { name: "Bob" },
  },
  headers: { from: `Shop <${from}>`, subject: "Hi {{name}}", "x-order": 4711 },
  content: { "text/plain": "Hi {{name}}: {{total}}", "text/html": "<p>Hi {{name}}</p>" },
  variables: { total: "nothing" },
};

async function refusal(promise) {
  return promise.then(
    () => null,
    (response) => response,
  );
}

(async () => {
  const sent = await client.sendMessage(message, "order-4711");
  const told = {
    sent,
    again: await refusal(client.sendMessage(message, "order-4711")),
    receipt: await client.messageReceipt({ uid: "order-4711" }),
    transmissions: await client.messageTransmissions({ uid: "order-4711" }),
    methods: await client.methodList(),
    metrics: await client.metrics(),
    suppressions: await client.suppressionList(),
    history: await client.messagesHistory(),
    account: await client.accountInfo(),
    unknown: await refusal(client.messageReceipt({ uid: "strange UID" })),
    noRecipients: await refusal(client.sendMessage({ content: "x" })),
    stranger: await refusal(
      new PostageApp({ apiKey: "A".repeat(32), host, port: Number(port) }).accountInfo(),
    ),
  };
  console.log(JSON.stringify(told));
})();
