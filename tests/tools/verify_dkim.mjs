// Verifies messages with mailauth. Reads {"records": {name: txt}, "messages": [base64]} and
// prints, for each message, its signatures: [[{domain, selector, algorithm, result}]].
import { text } from "node:stream/consumers";
import { dkimVerify } from "mailauth/lib/dkim/verify.js";

const { records, messages } = JSON.parse(await text(process.stdin));

async function resolver(name) {
  if (!(name in records)) {
    throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
  }
  return [[records[name]]];
}

const found = [];
for (const message of messages) {
  const { results } = await dkimVerify(Buffer.from(message, "base64"), { resolver });
  found.push(
    results
      .filter((each) => each.signingDomain)
      .map((each) => ({
        domain: each.signingDomain,
        selector: each.selector,
        algorithm: each.algo,
        result: each.status.result,
      })),
  );
}
console.log(JSON.stringify(found));
