"""What a reply means for its delivery, and for all that would follow it the same way.

The receivers' own words are read by the ordered rules of `classify.toml`; where none fits, the
reply's codes have decided already.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ..mail.outcome import LONGEST_TEXT, BounceClass, Outcome, Verdict


class Action(StrEnum):
    """What follows from a reply beyond its own delivery."""

    RETRY = "retry"
    BOUNCE = "bounce"
    BACK_OFF = "back_off"
    SUSPEND = "suspend"


@dataclass(frozen=True, slots=True)
class Judgement:
    """An outcome as the receiver meant it, and what is to be done."""

    outcome: Outcome
    action: Action
    suspend_for: timedelta = timedelta()
    """How long nothing goes from our address to the site; zero unless the action is `SUSPEND`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `classify.toml`; what is empty fits everything."""

    bounce_class: BounceClass
    action: Action | None
    minutes: int
    codes: tuple[str, ...]
    statuses: frozenset[str]
    hosts: tuple[str, ...]
    text: re.Pattern[str] | None

    def fits(self, code: str, status: str | None, text: str, names: Sequence[str]) -> bool:
        """Say whether everything that the rule names is so; *names* are host and domain."""
        return (
            (not self.codes or code.startswith(self.codes))
            and (not self.statuses or status in self.statuses)
            and (not self.hosts or any(_is_below(name, self.hosts) for name in names))
            and (self.text is None or self.text.search(text) is not None)
        )


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """Return the rules in their order."""
    text = files(__package__).joinpath("classify.toml").read_text(encoding="utf-8")
    return tuple(_read(entry) for entry in tomllib.loads(text)["rule"])


def judge(outcome: Outcome, *, domain: str) -> Judgement:
    """Return what *outcome* means, of mail to *domain* (A-labels)."""
    if outcome.code is None or outcome.verdict is Verdict.DELIVERED:
        return Judgement(outcome, _usual_action(outcome))
    names = [name.rstrip(".").lower() for name in (outcome.mx_host or "", domain) if name]
    text = " ".join(outcome.text[:LONGEST_TEXT].split())
    code = str(outcome.code)
    for rule in rules():
        if rule.fits(code, outcome.enhanced_code, text, names):
            return _apply(rule, outcome)
    return Judgement(outcome, _usual_action(outcome))


def _apply(rule: Rule, outcome: Outcome) -> Judgement:
    verdict = outcome.verdict
    if rule.action is Action.RETRY:
        verdict = Verdict.DEFERRED
    elif rule.action is Action.BOUNCE:
        verdict = Verdict.BOUNCED
    meant = replace(outcome, verdict=verdict, bounce_class=rule.bounce_class)
    return Judgement(
        meant, rule.action or _by_verdict(meant), suspend_for=timedelta(minutes=rule.minutes)
    )


def _usual_action(outcome: Outcome) -> Action:
    if outcome.bounce_class is BounceClass.RATE_LIMITED:
        return Action.BACK_OFF
    return _by_verdict(outcome)


def _by_verdict(outcome: Outcome) -> Action:
    return Action.BOUNCE if outcome.verdict is Verdict.BOUNCED else Action.RETRY


def _is_below(name: str, suffixes: tuple[str, ...]) -> bool:
    return any(name == suffix or name.endswith(f".{suffix}") for suffix in suffixes)


def _read(entry: Mapping[str, Any]) -> Rule:
    unknown = set(entry) - _KEYS
    if unknown:
        raise ValueError(f"classify.toml: a rule has no {', '.join(sorted(unknown))}")
    action = Action(entry["action"]) if "action" in entry else None
    if (action is Action.SUSPEND) != ("minutes" in entry):
        raise ValueError("classify.toml: minutes belong to the action suspend, and it needs them")
    return Rule(
        bounce_class=BounceClass(entry["class"]),
        action=action,
        minutes=entry.get("minutes", 0),
        codes=tuple(entry.get("code", ())),
        statuses=frozenset(entry.get("status", ())),
        hosts=tuple(entry.get("hosts", ())),
        text=re.compile(entry["text"], re.IGNORECASE) if "text" in entry else None,
    )


_KEYS = {"class", "action", "minutes", "code", "status", "hosts", "text"}
