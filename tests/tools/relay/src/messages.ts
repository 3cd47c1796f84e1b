// The documents of an application: fragments beside what shows them, a list that grows, and a
// component that is fetched again by itself.
import { graphql } from "relay-runtime";

export const row = graphql`
  fragment messages_row on Message {
    number
    subject
    status
    metadata
    createdAt
  }
`;

export const list = graphql`
  fragment messages_list on Organization
  @argumentDefinitions(
    count: { type: "Int", defaultValue: 2 }
    cursor: { type: "String" }
    filter: { type: "MessageFilter" }
  )
  @refetchable(queryName: "messagesPageQuery") {
    messages(first: $count, after: $cursor, filter: $filter)
      @connection(key: "messages_list_messages", filters: ["filter"]) {
      edges {
        node {
          ...messages_row
        }
      }
    }
  }
`;

export const detail = graphql`
  fragment messages_detail on Message @refetchable(queryName: "messagesDetailQuery") {
    ...messages_row
    completedAt
    deliveries {
      address
      state
      attempts {
        number
        verdict
        reply
      }
    }
  }
`;

export const listQuery = graphql`
  query messagesListQuery {
    viewer {
      credential {
        kind
        scopes
      }
    }
    organization {
      name
      ...messages_list
    }
  }
`;

export const againQuery = graphql`
  query messagesAgainQuery($id: ID!) {
    node(id: $id) {
      ...messages_detail @alias(as: "message")
    }
  }
`;

export const send = graphql`
  mutation messagesSendMutation($input: SendMessageInput!, $connections: [ID!]!) {
    sendMessage(input: $input) {
      receipt {
        uuid
        creditsRemaining
      }
      message @prependNode(connections: $connections, edgeTypeName: "MessageEdge") {
        id
        ...messages_detail
      }
    }
  }
`;

export const suppress = graphql`
  mutation messagesSuppressMutation($input: AddSuppressionInput!) {
    addSuppression(input: $input) {
      suppression {
        address
        reason
        expiresAt
      }
    }
  }
`;
