"""Blocklists: who in the DNS says that an address or a domain sends what nobody wants.

A *blocklist* is a zone in which addresses and domains are looked up (RFC 5782). Which ones are
known is data, `lists.toml`; which ones are asked is a setting, for many have terms of use. Each
that is asked is tested daily, and one that fails its test is not believed: a dead zone lists
nobody, and one that was sold lists everybody. An answer that means that the question was refused
is no listing.

Answers are kept for a while, for each organization apart. The addresses of vMTAs are looked up
by themselves, and what changes is told: a *listing* is one address on one list.
"""
