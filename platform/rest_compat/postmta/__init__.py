"""PostMTA's REST API, as its public reference and our contract describe it.

A key is an API key in `X-API-Key`, or an API key or token after `Authorization: Bearer`.
A resource is a bare object; a list is `{"data", "pagination", "filters"}`; a refusal is
`{"error": {"code", "message", "status", "details", "request_id"}}`. Lists are paged by an
opaque cursor, 50 items by default and 500 at most. Every credential has a rate limit,
told in `X-RateLimit-*`.

Source: https://postmta.pages.dev/docs/api-reference
"""
