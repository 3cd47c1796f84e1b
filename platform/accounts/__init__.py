"""Accounts: organizations, projects, users, and who belongs where.

An organization is the tenant. A user belongs to organizations through memberships, each
with one role; the last owner cannot leave or be demoted, and only owners touch owners. A
project is a mail stream of an organization with its own keys and message log; every
organization has one named `default`. An invitation is good once, for one address.
"""
