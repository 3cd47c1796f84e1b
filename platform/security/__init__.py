"""Security: passwords, tokens, API keys, rate limits, idempotency.

An API key is stored as a keyed hash only and shown once. Its secret may be in any of three
forms, so that clients of other platforms can use it: `pmta_...`, 24 characters (Postal)
or 32 characters (PostageApp) of `A-Za-z0-9`. A key never holds more than its maker does,
and ends with its maker's membership. Nothing about a credential is cached: what was taken
away is refused from the next request on.
"""
