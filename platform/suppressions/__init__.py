"""Suppressions: addresses an organization does not send to, why and until when.

Reason `unsubscribe` stops marketing mail only, every other reason all mail. A refusal of
our own reputation or content never suppresses the recipient. Of somebody who was erased a keyed
hash stands for the address; they are found by it, and mail to them stays stopped.
"""
