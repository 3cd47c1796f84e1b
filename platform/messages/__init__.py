"""Messages: what customers send, and what became of it.

Accepting a message is one durable transaction: message, content, a delivery for each
recipient, credits and the idempotency record, or nothing. What happens afterwards is told
by `delivery` and `events`.
"""
