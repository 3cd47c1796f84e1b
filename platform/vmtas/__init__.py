"""vMTAs: sending identities, and the pools that spread mail over them.

A vMTA belongs to one organization, or to the deployment and is shared by all. Every
organization has the pool `default`; while it has no vMTA of its own, mail goes through
the deployment's.
"""
