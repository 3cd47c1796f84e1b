// Audits the GraphQL server at the given URL and prints one JSON object: id -> [name, status, reason].
import { auditServer } from "graphql-http";

const found = {};
for (const result of await auditServer({ url: process.argv[2] })) {
  const reason = result.status === "ok" ? null : result.reason;
  found[result.id] = [result.name, result.status, reason];
}
console.log(JSON.stringify(found));
