"""Imports: what is taken over from another platform, so that its customers notice nothing.

Whoever runs the deployment starts one, at the command line; it acts for the platform. It is read
from a dump or from the running database, never from what somebody uploads.

A *source* is where rows come from. What was taken over once is remembered by its id there, so
that an import may be run again: it goes on where it was cut short, takes what is new, and leaves
alone what was changed or deleted here since. An organization is taken over in one transaction. A
*finding* is what became of one thing, and a *report* is all of them; a trial is the same run,
rolled back.
"""
