// Does what `graphql-codegen` does with `codegen.json`, without its command line.
import { readFileSync, writeFileSync } from "node:fs";
import { codegen } from "@graphql-codegen/core";
import * as typedDocumentNode from "@graphql-codegen/typed-document-node";
import * as typescript from "@graphql-codegen/typescript";
import * as typescriptOperations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";

const PLUGINS = {
  typescript,
  "typescript-operations": typescriptOperations,
  "typed-document-node": typedDocumentNode,
};

const { schema, documents, generates } = JSON.parse(readFileSync("codegen.json", "utf8"));
const read = (name) => parse(readFileSync(name, "utf8"));

for (const [filename, { plugins, config }] of Object.entries(generates)) {
  const made = await codegen({
    filename,
    schema: read(schema),
    documents: documents.map((location) => ({ location, document: read(location) })),
    config,
    plugins: plugins.map((name) => ({ [name]: {} })),
    pluginMap: PLUGINS,
  });
  writeFileSync(filename, made);
}
