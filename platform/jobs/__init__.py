"""Jobs: what runs in the background, when, and in which process.

A job carries ids and nothing else, and may run twice or be lost: what is due, a row says. It
calls an area's `work` and `mail`, never its operations, for it acts for the platform.
"""
