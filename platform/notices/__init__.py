"""Notices: mail of the platform itself to people, such as an invitation.

A notice is a row written in the transaction of what it tells about, so it is sent if and only
if that happened. What it says is encrypted in the row, since it may hold a token, and deleted
when the notice has been sent or given up. It leaves the way customers' mail leaves, costs no
credits, and may be sent twice when a worker dies; it is never lost.
"""
