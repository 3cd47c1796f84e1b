"""Events: what happened to each message. Append-only, the seam between areas.

An event is written in the transaction of what it tells. Webhooks, analytics and
subscriptions read them in the order of `position`, each at its own pace.
"""
