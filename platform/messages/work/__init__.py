"""What the platform does with messages for itself."""

from .erasing import ANY_OPEN_ERASURE, ask_for_erasure, ask_for_open_erasures, run_erasure
from .usage import bytes_delivered

__all__ = [
    "ANY_OPEN_ERASURE",
    "ask_for_erasure",
    "ask_for_open_erasures",
    "bytes_delivered",
    "run_erasure",
]
