"""What a look at the deployment finds, and what to do about it.

The checks are the server's, which knows the machine; what is found can be asked for anywhere.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .tenants import across_organizations

log = logging.getLogger(__name__)

CHECK_SECONDS = 30.0


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


Check = Callable[[], Awaitable[Sequence[Finding]]]

CHECKS: dict[str, Check] = {}
"""Those that this process can make while it serves, by their subject; none reads much."""


async def made(subject: str, check: Check, *, seconds: float = CHECK_SECONDS) -> Sequence[Finding]:
    """Return what a check finds; that it could not be made is a fault, too."""
    try:
        return await asyncio.wait_for(check(), seconds)
    except Exception as error:  # an edge: one check that fails must not hide the others
        log.warning("the check of %s could not be made: %r", subject, error)
        said = str(error).strip() or type(error).__name__
        return [fault(subject, f"The check could not be made: {said}", "See the sentence.")]


@across_organizations
async def findings_of(checks: Mapping[str, Check], *, seconds: float) -> list[Finding]:
    """Return what some checks find, made side by side, in their order."""
    found = await asyncio.gather(*(made(n, each, seconds=seconds) for n, each in checks.items()))
    return [finding for findings in found for finding in findings]
