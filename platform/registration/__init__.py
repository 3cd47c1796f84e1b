"""Registration: how a person, and with them an organization, begins.

It joins what several areas give a newcomer: a user and an organization with its project
(accounts), a pool (vmtas), the credits of the plan (credits), and a token (security).
"""
