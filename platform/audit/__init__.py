"""Audit: who did what, when.

Append-only: an entry is written in the change's own transaction, never changed, and goes
after two years. Secrets never enter it.
"""
