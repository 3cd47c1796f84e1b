// Verifies a call with npm's standardwebhooks, and that it refuses another body. Reads
// {"secret", "headers", "body"} from GIVEN and prints {"verified": payload, "forged": message}.
import { Webhook } from "standardwebhooks";

const { secret, headers, body } = JSON.parse(process.env.GIVEN);
const webhook = new Webhook(secret);
let forged = null;
try {
  webhook.verify(body + " ", headers);
} catch (error) {
  forged = error.message;
}
console.log(JSON.stringify({ verified: webhook.verify(body, headers), forged }));
