// Relay's rules for a schema, as ESLint's configuration: the schema alone is looked at.
import graphql from "@graphql-eslint/eslint-plugin";

export default [
  {
    files: ["**/*.graphql"],
    plugins: { "@graphql-eslint": graphql },
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: process.env.SCHEMA } },
    },
    rules: {
      "@graphql-eslint/relay-arguments": "error",
      "@graphql-eslint/relay-connection-types": "error",
      // Lists that are not connections are fine where they are short: addresses, tags, attempts.
      // Sums are listed, too, and are no objects to find again; a test of ours knows which.
      "@graphql-eslint/relay-edge-types": [
        "error",
        { listTypeCanWrapOnlyEdgeType: false, shouldImplementNode: false },
      ],
      "@graphql-eslint/relay-page-info": "error",
    },
  },
];
