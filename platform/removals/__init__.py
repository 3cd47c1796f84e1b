"""Removals that can be taken back: what is removed waits a while before it is gone.

A removal names what goes, and when. Until then nothing has happened to it, and whoever may remove
it may take that back. Then it is removed as whoever asked for it, if they still may.
"""
