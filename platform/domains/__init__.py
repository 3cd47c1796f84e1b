"""Domains: what an organization may send from, its DNS records and DKIM keys.

A domain is verified when the records that prove control are seen in the DNS. A DKIM key
signs only after its record was seen; its private half is sealed at rest and never leaves.
One verified domain belongs to one organization of the deployment.
"""
