"""What `postlane doctor` finds."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check ended; only a fault makes the doctor's exit code 1."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found and, unless all is well, what to do about it."""

    subject: str
    verdict: Verdict
    sentence: str
    remedy: str = ""


def ok(subject: str, sentence: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(subject, Verdict.OK, sentence)


def warning(subject: str, sentence: str, remedy: str) -> Finding:
    """Return a finding that deserves a look."""
    return Finding(subject, Verdict.WARNING, sentence, remedy)


def fault(subject: str, sentence: str, remedy: str) -> Finding:
    """Return a finding that keeps Postlane from doing its work, or makes it unsafe."""
    return Finding(subject, Verdict.FAULT, sentence, remedy)
