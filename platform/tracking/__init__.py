"""Tracking: what recipients do with a message, told by tokens in it.

A token is sealed: it holds whose delivery it is of and where a link leads, so that nobody can
make one, read one or turn one into another. Unsubscribing takes one POST and nothing else, as
RFC 8058 asks.

A *hit* is a request for a pixel or a link. Whoever asks is answered first; hits are written down
in batches, and become events a few seconds later, when it can be told which of them machines
made. A *choice* is what was decided for one recipient.
"""
