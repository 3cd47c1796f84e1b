"""Programs for a nursery of the tests: Python text that stands among the arguments."""

import sys
from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Run the first argument as a program that is given the others."""
    sys.argv = ["script", *arguments[1:]]
    exec(compile(arguments[0], "script", "exec"), {"__name__": "__main__"})
    return 0
