"""What became of each thing that was to be taken over, for people and for programs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MOST_OF_KIND = 1_000
"""Findings of one kind and outcome that are told one by one; all are counted."""


class Kind(StrEnum):
    """What is taken over, in the order in which it is told."""

    SIGNING_KEY = "signing key"
    ORGANIZATION = "organization"
    USER = "user"
    PROJECT = "project"
    DOMAIN = "domain"
    API_KEY = "API key"
    WEBHOOK = "webhook"
    SUPPRESSION = "suppression"
    OTHER = "other"


class Outcome(StrEnum):
    """What became of it."""

    TAKEN = "taken over"
    PRESENT = "taken over before"
    REFUSED = "refused"
    LEFT = "left behind"


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one thing, and what somebody should know about it."""

    kind: Kind
    name: str
    outcome: Outcome
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """All findings of one import."""

    is_trial: bool
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[tuple[Kind, Outcome]] = field(default_factory=Counter)

    def add(self, kind: Kind, name: str, outcome: Outcome, *notes: str) -> None:
        """Note what became of one thing."""
        self.counts[kind, outcome] += 1
        if self.counts[kind, outcome] <= MOST_OF_KIND and (notes or outcome is Outcome.TAKEN):
            self.findings.append(Finding(kind, name, outcome, notes))

    def count(
        self, kind: Kind, outcome: Outcome, number: int, *, of: str = "", note: str = ""
    ) -> None:
        """Count things that nobody wants to read about one by one; a note is of all of them."""
        if number:
            self.counts[kind, outcome] += number
        if number and note:
            self.findings.append(Finding(kind, f"{number:,} of {of}", outcome, (note,)))

    @property
    def refused(self) -> int:
        """How many things could not be taken over."""
        return sum(n for (_, outcome), n in self.counts.items() if outcome is Outcome.REFUSED)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        counts: dict[str, dict[str, int]] = {}
        for (kind, outcome), number in sorted(self.counts.items()):
            counts.setdefault(kind.value, {})[outcome.value] = number
        return {
            "dry_run": self.is_trial,
            "counts": counts,
            "findings": [
                {
                    "kind": each.kind.value,
                    "name": each.name,
                    "outcome": each.outcome.value,
                    "notes": list(each.notes),
                }
                for each in self.findings
            ],
        }

    def lines(self) -> Iterator[str]:
        """Yield it for people: numbers first, then whatever somebody should know."""
        yield "This was a trial: nothing was changed." if self.is_trial else "Done."
        yield ""
        for kind in Kind:
            told = [
                f"{self.counts[kind, outcome]:,} {outcome.value}"
                for outcome in Outcome
                if self.counts[kind, outcome]
            ]
            if told and kind is not Kind.OTHER:
                yield f"{kind.value + 's':<15} {', '.join(told)}"
        noted = [each for each in self.findings if each.notes]
        if noted:
            yield ""
        for kind in Kind:
            for each in noted:
                if each.kind is kind:
                    what = f"{each.kind.value} " if kind is not Kind.OTHER else ""
                    yield f"{what}{each.name}: {'; '.join(each.notes)}."
