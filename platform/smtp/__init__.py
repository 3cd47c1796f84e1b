"""SMTP: mail from customers' programs, and what other mail servers send back.

A program signs in with an API key as its password; the user name does not matter. Each
message is one `sendRawMessage`, so permissions, limits and refusals are those of every other
edge. A 250 means what 202 means over HTTP: the message is on disk.

Strangers may hand over bounces, complaints and unsubscribes for addresses that carry a token of
ours, and mail about ourselves to the postmaster. They are not believed beyond their token, and
never answered.
"""
