"""How often Python looks for cycles: seldom, in processes that make few of them."""

import gc

COLLECT_AFTER = 10_000
"""Containers made and not freed, before the youngest are looked at; Python's own is 700."""


def collect_seldom() -> None:
    """Let a process start without looking for cycles again and again: it makes what it keeps."""
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def settle_down() -> None:
    """Take what the process has imported out of the collector's sight; call it once at start.

    A request makes some thousand containers and hardly a cycle, so that the collector took
    seven hundredths of a web worker's time and found nothing.
    """
    gc.collect()
    gc.freeze()
    collect_seldom()


def keep_loaded() -> None:
    """Take what has been imported since the start out of the collector's sight as well."""
    gc.freeze()
