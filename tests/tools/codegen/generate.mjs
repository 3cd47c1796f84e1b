// Generates `generated.ts` from our schema and `documents.graphql`, as `graphql-codegen` does
// with the configuration that docs/clients.md shows.
import { readFileSync, writeFileSync } from "node:fs";
import { codegen } from "@graphql-codegen/core";
import * as typedDocumentNode from "@graphql-codegen/typed-document-node";
import * as typescript from "@graphql-codegen/typescript";
import * as typescriptOperations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";

const read = (name) => parse(readFileSync(name, "utf8"));
const config = {
  strictScalars: true,
  useTypeImports: true,
  avoidOptionals: { field: true },
  scalars: {
    BigInt: { input: "number | string", output: "number" },
    DateTime: "string",
    EmailAddress: "string",
    JSON: "unknown",
    UUID: "string",
  },
};
const made = await codegen({
  filename: "generated.ts",
  schema: read("schema.graphql"),
  documents: [{ location: "documents.graphql", document: read("documents.graphql") }],
  config,
  plugins: [{ typescript: {} }, { typescriptOperations: {} }, { typedDocumentNode: {} }],
  pluginMap: { typescript, typescriptOperations, typedDocumentNode },
});
writeFileSync("generated.ts", made);
