"""What a customer's program asks over GraphQL."""

REGISTER = """
mutation ($input: RegisterInput!) {
  register(input: $input) {
    token tokenType expiresAt user { email name } organization { name plan }
  }
}
"""
LOG_IN = """
mutation ($input: LogInInput!) { logIn(input: $input) { token organization { name } } }
"""
VIEWER = """
{
  viewer {
    user { email role } organization { name }
    credential { kind mode scopes apiKey { prefix } }
  }
}
"""
CREATE_KEY = """
mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { key apiKey { id uuid prefix status } }
}
"""
ROTATE_KEY = """
mutation ($input: RotateApiKeyInput!) {
  rotateApiKey(input: $input) { key apiKey { uuid status previousKey { prefix } } }
}
"""
DELETE_KEY = """
mutation ($input: DeleteApiKeyInput!) { deleteApiKey(input: $input) { deletedId } }
"""
CREATE_DOMAIN = """
mutation ($input: CreateDomainInput!) {
  createDomain(input: $input) {
    domain { id uuid name status canSend records { purpose type name value status } }
  }
}
"""
VERIFY_DOMAIN = """
mutation ($input: VerifyDomainInput!) {
  verifyDomain(input: $input) {
    cached records { purpose status }
    domain { status canSend dkim { keys { selector state } } }
  }
}
"""
ROTATE_DKIM = """
mutation ($input: RotateDomainDkimInput!) {
  rotateDomainDkim(input: $input) {
    domain { dkim { keys { selector state } } records { type name value } }
  }
}
"""
SEND = """
mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) {
    receipt {
      status accepted creditsConsumed creditsRemaining recipients { address kind state }
    }
    message { id }
  }
}
"""
SEND_MANY = """
mutation ($input: SendMessagesInput!) {
  sendMessages(input: $input) { batchId accepted rejected creditsConsumed }
}
"""
CANCEL = """
mutation ($input: CancelMessageInput!) {
  cancelMessage(input: $input) { status cancelled creditsRefunded message { completedAt } }
}
"""
TIMELINE = """
query ($id: ID!) {
  organization {
    message(id: $id) {
      status subject completedAt
      deliveries {
        address state attemptCount
        attempts { number verdict code enhancedCode reply mxHost mxAddress tlsVersion transcript }
      }
      events { type data }
    }
  }
}
"""
LIST = """
query ($filter: MessageFilter, $after: String) {
  organization {
    messages(filter: $filter, first: 2, after: $after) {
      nodes { to } pageInfo { hasNextPage endCursor }
    }
  }
}
"""
BALANCES = "{ organization { credits { balances { type balance usedThisPeriod } } } }"
