// Sends messages so that something happens which can be followed.
const { URL: url, KEY: key, SENDER: from } = process.env;

const QUERY = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }";

export async function send(subject) {
  const input = { from, to: ["ada@example.net"], subject, text: "Hello." };
  const answer = await fetch(url, {
    method: "POST",
    headers: { "x-api-key": key, "content-type": "application/json" },
    body: JSON.stringify({ query: QUERY, variables: { input } }),
  });
  return (await answer.json()).data.sendMessage.receipt.uuid;
}

// A subscription follows what happens from when it begins, which no protocol tells: something
// is sent until it is seen.
export async function sendUntil(seen) {
  let waiting = true;
  const found = seen.finally(() => (waiting = false));
  while (waiting) {
    await send("Followed");
    await Promise.race([found, new Promise((resolve) => setTimeout(resolve, 200))]);
  }
  return found;
}
