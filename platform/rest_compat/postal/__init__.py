"""Postal's HTTP API: four actions, as the clients of Postal 3.3 know them.

The key stands in `X-Server-API-Key`, which is also how a request is known to be in this dialect:
the prefix `/api/v1` is PostMTA's, too. Every method does the same, `.json` may follow the path,
and parameters come as JSON, as JSON in a form's field `params`, or in the query.

Handled errors are HTTP 200 in the envelope `status`, `time`, `flags`, `data`; there are no pages.
What Postal calls a message is a delivery here, and what it calls a delivery is an attempt.

https://docs.postalserver.io/developer/api and https://apiv1.postalserver.io
"""
