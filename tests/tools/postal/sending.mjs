// Sends with Postal's own client, as an application would, and tells what it was answered.
import https from "node:https";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const Postal = require("@atech/postal");
const { HOST: host, PORT: port, KEY: key, SENDER: from, RECIPIENT: to } = process.env;

// The client knows no ports; this is where Node takes https to be.
https.globalAgent.defaultPort = Number(port);

const client = new Postal.Client(host, key);

function shown(result) {
  const recipients = result.recipients();
  return Object.fromEntries(
    Object.entries(recipients).map(([address, message]) => [
      address,
      { id: message.id(), token: message.token() },
    ]),
  );
}

const message = new Postal.SendMessage(client);
message.to(to);
message.cc(`Copy <copy-${to}>`);
message.from(from);
message.subject("Hi there!");
message.plainBody("Hello world!");
message.htmlBody("<p>Hello world!</p>");
message.header("X-PHP-Test", "value");
message.attach("textmessage.txt", "text/plain", "Hello world!");
const sent = shown(await message.send());

const raw = new Postal.SendRawMessage(client);
raw.mailFrom(from);
raw.rcptTo(to);
raw.data(
  `From: ${from}\r\nTo: ${to}\r\nSubject: Raw\r\nMessage-ID: <raw@client.example>\r\n\r\nRaw.\r\n`,
);
const sentRaw = shown(await raw.send());

const refused = new Postal.SendMessage(client);
refused.to(to);
refused.from("somebody@elsewhere.example");
refused.plainBody("x");
const refusal = await refused.send().then(
  () => null,
  (error) => error,
);

const stranger = new Postal.SendMessage(new Postal.Client(host, "unknown"));
const unknown = await stranger.send().then(
  () => null,
  (error) => error,
);

console.log(JSON.stringify({ sent, sentRaw, refusal, unknown }));
