"""Tracking: what recipients do with a message, told by tokens in it.

A token is sealed: it holds whose delivery it is of, so that nobody can make one, read one or
turn one into another. Unsubscribing takes one POST and nothing else, as RFC 8058 asks.
"""
