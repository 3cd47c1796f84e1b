"""Billing: what an organization pays for, and what it has paid.

A *subscription* is the plan of one organization, for one calendar month in UTC at a time. An
*invoice* has lines that say what is granted when it is paid, and a number of a sequence without
gaps. A *checkout* is an offer to buy. A *payment* is booked once, however often we hear of it,
and grants once. Subscriptions, invoices and proration are ours; a payment provider only takes
money, and what it tells us late or twice changes nothing.
"""
