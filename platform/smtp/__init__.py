"""SMTP: mail from customers' programs, taken at a listener and handed to the one door.

A program signs in with an API key as its password; the user name does not matter. Each
message is one `sendRawMessage`, so permissions, limits and refusals are those of every other
edge. A 250 means what 202 means over HTTP: the message is on disk.
"""
