"""Webhooks: customers' addresses that are called when something happens, and those calls.

Every event becomes at most one call for each webhook that wants it, in the transaction that
moves the place of the consumer `webhooks`: nothing is left out and nothing comes twice. A
call is due because its row says so. It is delivered when the receiver answers 2xx, tried
eight times over about a day, and then dead. Who sends for a webhook holds its lease, so that
calls of one webhook are never sent by two workers at once and those in order stay in order.

A *webhook* is where to call and what for, a *call* is one event for one webhook, an *attempt*
is one request. A *replay* is a further call for an event that had one.
"""
