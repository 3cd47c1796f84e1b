// Verifies a call in Postal's format with Node's own crypto, by the published key. Reads
// {"jwks", "headers", "body"} from GIVEN and prints, for each signature, whether it is good of the
// body, and of another one.
import { createPublicKey, verify } from "node:crypto";

const { jwks, headers, body } = JSON.parse(process.env.GIVEN);
const jwk = jwks.keys.find((each) => each.kid === headers["x-postal-signature-kid"]);
const key = createPublicKey({ key: jwk, format: "jwk" });
const good = (name, algorithm, text) =>
  verify(algorithm, Buffer.from(text), key, Buffer.from(headers[name], "base64"));
const both = (name, algorithm) => [good(name, algorithm, body), good(name, algorithm, body + " ")];
console.log(
  JSON.stringify({
    sha1: both("x-postal-signature", "RSA-SHA1"),
    sha256: both("x-postal-signature-256", "RSA-SHA256"),
  }),
);
