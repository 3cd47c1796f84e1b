"""Audit: who did what, when. Append-only; an entry is written in the change's transaction."""
