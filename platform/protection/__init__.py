"""Protection: rules that stop what hurts, by what is measured, and say why.

A *rule* compares a measure with a threshold over a window: the bounces of a domain, the deferrals
of a queue, the failed sign-ins from a network. Where it is breached, a *block* begins, with its
evidence: sending from a domain stops, a vMTA or a queue rests, an API key is switched off, a
network may not sign in, or somebody is only told. A block ends by itself, or when it is resolved,
and then what it did is undone; for a while its rule leaves the target alone.

What is stopped is a row of the area that it belongs to, so that whoever accepts, drains or signs
in looks at nothing else. Rules are data, `rules.toml`; organizations switch them, and the operator
says how strictly each organization is judged.
"""
