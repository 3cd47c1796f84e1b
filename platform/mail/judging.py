"""What a receiving server would make of a message: its signatures, whom it is from, its size.

The signer is our own code, so the verifier is somebody else's: dkimpy.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from enum import StrEnum

import dkim

from .links import cut_html, cut_text
from .viewing import View

CLIPPED_BYTES = 102_400
"""Gmail shows no more of a message's HTML than this, and hides the rest behind a link.

Source: observed by many senders since 2011, and not documented by Google.
"""
MOST_SIGNATURES = 10
MOST_LINKS = 200
_SIGNATURE = re.compile(rb"^dkim-signature:", re.IGNORECASE | re.MULTILINE)

KeyRecord = Callable[[str, str], str | None]
"""Returns the record of a key by its domain and selector; None if there is none."""


class SignatureVerdict(StrEnum):
    """What became of looking at one signature."""

    PASS = "pass"
    FAIL = "fail"
    NO_KEY = "no_key"
    """The domain has no such key here, so nothing can be said."""
    NOT_CHECKED = "not_checked"
    """It is of a kind that the verifier does not know."""


@dataclass(frozen=True, slots=True)
class SignatureJudgement:
    """One DKIM signature."""

    domain: str
    selector: str
    algorithm: str
    verdict: SignatureVerdict


@dataclass(frozen=True, slots=True)
class LinkFound:
    """An address in a message."""

    url: str
    is_encrypted: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What there is to say about a message before it is really sent."""

    signatures: Sequence[SignatureJudgement]
    dkim_aligned: bool
    """A good signature is of the domain in From."""
    spf_aligned: bool
    """The envelope's sender is of the domain in From."""
    links: Sequence[LinkFound]
    html_bytes: int

    @property
    def is_clipped(self) -> bool:
        """Whether Gmail would hide its end."""
        return self.html_bytes > CLIPPED_BYTES


def judge(source: bytes, view: View, *, envelope_from: str, key_of: KeyRecord) -> Judgement:
    """Return what a receiver would make of *source*, which *view* shows."""
    author = _domain(next((v for n, v in view.headers if n.lower() == "from"), ""))
    count = min(len(_SIGNATURE.findall(source.partition(b"\r\n\r\n")[0])), MOST_SIGNATURES)
    signatures = [_signature(source, number, key_of) for number in range(count)]
    good = [each.domain for each in signatures if each.verdict is SignatureVerdict.PASS]
    html = view.html or ""
    cuts = (cut_html(html), cut_text(view.text or ""))
    targets = dict.fromkeys(gap.target for cut in cuts for gap in cut.gaps if gap.target)
    return Judgement(
        signatures=signatures,
        dkim_aligned=any(_aligned(domain, author) for domain in good),
        spf_aligned=_aligned(_domain(envelope_from), author),
        links=[
            LinkFound(url, url.lower().startswith("https:")) for url in list(targets)[:MOST_LINKS]
        ],
        html_bytes=len(html.encode()),
    )


def _signature(source: bytes, number: int, key_of: KeyRecord) -> SignatureJudgement:
    found: dict[str, str] = {"d": "", "s": "", "a": ""}
    asked: list[bool] = []

    def look_up(name: bytes, timeout: float = 5) -> bytes | None:
        selector, _, domain = name.decode("ascii", "replace").rstrip(".").partition("._domainkey.")
        record = key_of(domain.lower(), selector)
        asked.append(record is not None)
        return None if record is None else record.encode("ascii")

    checked = dkim.DKIM(source, minkey=1024)
    try:
        passed = checked.verify(idx=number, dnsfunc=look_up)
        verdict = SignatureVerdict.PASS if passed else SignatureVerdict.FAIL
    except dkim.DKIMException:
        verdict = SignatureVerdict.FAIL
    except Exception:  # an edge: the verifier is another's, and lacks what some keys need
        verdict = SignatureVerdict.NOT_CHECKED
    if asked == [False]:
        verdict = SignatureVerdict.NO_KEY
    for tag, value in (checked.signature_fields or {}).items():
        found[tag.decode("ascii", "replace")] = value.decode("ascii", "replace")
    return SignatureJudgement(found["d"].lower(), found["s"], found["a"], verdict)


def _domain(address: str) -> str:
    return parseaddr(address)[1].rpartition("@")[2].lower()


def _aligned(one: str, author: str) -> bool:
    """Say whether two domains are one, or one lies in the other.

    Source: RFC 7489 section 3.1, relaxed; an organization's domain is not looked up, so two
    subdomains of one are called apart.
    """
    if not one or not author:
        return False
    return one == author or one.endswith(f".{author}") or author.endswith(f".{one}")
