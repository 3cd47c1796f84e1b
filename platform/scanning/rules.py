"""What follows from what scanners say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

SCAN_SECONDS = 20.0
"""For one question to a scanner, connecting included."""

MAX_FILE_BYTES = 25 * 2**20
MAX_MESSAGE_BYTES = 25 * 2**20
MAX_FILENAME = 255
USUAL_THRESHOLD = 5.0
THRESHOLD_RANGE = (1.0, 20.0)
WARN_SHARE = 0.6
"""From this share of the threshold on a message is close to it."""
FILE_KEPT = timedelta(hours=24)
SCAN_KEPT = timedelta(days=30)
UNSCANNABLE = ("Heuristics.Limits.Exceeded", "Heuristics.Encrypted")
"""What clamd calls a file that it could not look into, if it is told to say so."""


class SpamVerdict(StrEnum):
    """Whether a message looks like spam."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


class FileVerdict(StrEnum):
    """What came of scanning for viruses."""

    CLEAN = "clean"
    INFECTED = "infected"
    UNSCANNABLE = "unscannable"
    """It is encrypted, nested too deeply, or larger than the scanner takes."""


class WhenDown(StrEnum):
    """What is done with mail that should be scanned while the scanner does not answer."""

    HOLD = "hold"
    PASS = "pass"


class Direction(StrEnum):
    """Which way mail goes."""

    OUTGOING = "outgoing"
    INBOUND = "inbound"


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason of a spam score."""

    name: str
    score: float
    description: str


@dataclass(frozen=True, slots=True)
class SpamReport:
    """What rspamd says of a message."""

    score: float
    rules: Sequence[Rule]
    version: str | None = None


@dataclass(frozen=True, slots=True)
class FileReport:
    """What clamd says of a file; *threats* are names of viruses, or why it was not scanned."""

    verdict: FileVerdict
    threats: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """What is scanned by itself for an organization."""

    outgoing_virus: bool = False
    outgoing_spam: bool = False
    inbound_virus: bool = False
    inbound_spam: bool = False
    spam_threshold: float = 15.0
    when_down: WhenDown = WhenDown.HOLD

    def scans(self, direction: Direction) -> tuple[bool, bool]:
        """Return whether mail that goes that way is scanned for viruses, and for spam."""
        if direction is Direction.OUTGOING:
            return self.outgoing_virus, self.outgoing_spam
        return self.inbound_virus, self.inbound_spam


def deployment_policy(*, outgoing: str, inbound: str, when_down: str, threshold: float) -> Policy:
    """Return the policy that the settings make; each direction is off, virus, spam or all."""
    return Policy(
        outgoing_virus=outgoing in ("virus", "all"),
        outgoing_spam=outgoing in ("spam", "all"),
        inbound_virus=inbound in ("virus", "all"),
        inbound_spam=inbound in ("spam", "all"),
        spam_threshold=threshold,
        when_down=WhenDown(when_down),
    )


def spam_verdict(score: float, threshold: float) -> SpamVerdict:
    """Return how near a score is to its threshold."""
    if score >= threshold:
        return SpamVerdict.FAIL
    return SpamVerdict.WARN if score >= WARN_SHARE * threshold else SpamVerdict.PASS


def file_report(reply: str) -> FileReport:
    """Return what a reply of clamd to a stream says, such as `stream: OK`.

    Raises:
        ValueError: it is no such reply.

    Source: clamd(8), INSTREAM.
    """
    text = reply.removeprefix("stream:").strip()
    if text == "OK":
        return FileReport(FileVerdict.CLEAN)
    if text.endswith(" FOUND"):
        name = text.removesuffix(" FOUND")
        if name.startswith(UNSCANNABLE):
            return FileReport(FileVerdict.UNSCANNABLE, (name,))
        return FileReport(FileVerdict.INFECTED, (name,))
    if "size limit exceeded" in text:
        return FileReport(FileVerdict.UNSCANNABLE, ("The file is larger than the scanner takes.",))
    raise ValueError(f"clamd replied {text[:200]!r}")


_SUGGESTIONS: Mapping[str, tuple[str, str]] = {
    "MIME_HTML_ONLY": ("missing_text_part", "Add a plain text part."),
    "MISSING_SUBJECT": ("missing_subject", "Write a subject."),
    "EMPTY_SUBJECT": ("missing_subject", "Write a subject."),
    "MISSING_DATE": ("missing_date", "Add a Date field."),
    "MISSING_MID": ("missing_message_id", "Add a Message-ID field."),
    "MISSING_TO": ("missing_recipient", "Name the recipient in a To field."),
    "SUBJ_ALL_CAPS": ("shouting_subject", "Write the subject without so many capitals."),
    "SUBJECT_HAS_EXCLAIM": ("shouting_subject", "Write the subject without exclamation marks."),
    "HTML_SHORT_LINK_IMG_1": ("image_only", "Write more text beside the linked image."),
    "HTML_SHORT_LINK_IMG_2": ("image_only", "Write more text beside the linked image."),
    "HTML_SHORT_LINK_IMG_3": ("image_only", "Write more text beside the linked image."),
    "R_PARTS_DIFFER": ("parts_differ", "Let the plain text say what the HTML says."),
    "PHISHING": ("misleading_link", "Let links lead where their text says."),
    "R_SUSPICIOUS_URL": ("suspicious_link", "Use plain addresses in links."),
    "URL_IN_SUBJECT": ("link_in_subject", "Take the address out of the subject."),
    "FORGED_SENDER": ("sender_mismatch", "Send from the domain that the From field names."),
    "ZERO_FONT": ("hidden_text", "Take out text that nobody can see."),
    "MANY_INVISIBLE_PARTS": ("hidden_text", "Take out text that nobody can see."),
}


def suggestions_for(rules: Iterable[Rule]) -> list[tuple[str, str]]:
    """Return code and sentence of what would lower the score, worst first."""
    costly = sorted((each for each in rules if each.score > 0), key=lambda each: -each.score)
    found = (_SUGGESTIONS[each.name] for each in costly if each.name in _SUGGESTIONS)
    return list({code: (code, sentence) for code, sentence in found}.values())
