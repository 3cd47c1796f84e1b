"""One thing that is done to every message a search finds, in the background.

A bulk action says what is done to which messages, and how far it is. What matches is what was
there when it was asked for. It goes on where it was left, whatever dies, and does nothing that
whoever asked for it could not do themselves by then.
"""
