"""Domains: what an organization may send from, its DNS records, DKIM keys and logos.

A domain is verified when the records that prove control are seen in the DNS. A DKIM key
signs only after its record was seen; its private half is sealed at rest and never leaves.
One verified domain belongs to one organization of the deployment. What is found in the DNS or
fetched from a stranger is kept as a finding with a sentence; it is never trusted, and the only
way to fetch it is `mail/fetching.py`.
"""
