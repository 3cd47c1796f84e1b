"""Requests: what an organization's API keys asked of the API lately, for whoever writes programs.

A process notes in memory what was answered and writes it down a moment later, so that nobody
waits for it and a crash loses that moment. Bodies, queries, credentials and network addresses are
never in it: a line says which kind of request it was and what became of it. What one organization
asks more often than a person could read becomes one line for all that is alike.
"""
