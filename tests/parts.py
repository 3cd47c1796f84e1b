"""Programs beside Python that some tests use: which there are, and how to get the others.

A test that needs one is marked `@needs(REDIS)`; where the program is missing it is skipped,
and the closing lines of the run say so. Needs nothing but the standard library and pytest.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parent / "tools"
"""The npm packages that tests use; `tests/run.py` installs them."""
LIGHTHOUSE = TOOLS / "lighthouse"
"""Lighthouse, apart from the others: it needs two hundred packages."""
FIGURE = "figure"
"""Under this name a test records, as a property, a line that the run closes with."""

THE_81 = "postlane/the81"
"""Where pytest's cache keeps how many endpoints of the contract passed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A program, Debian's package of it, and what is tested with it."""

    program: str
    package: str
    purpose: str

    def path(self) -> str | None:
        """Return where the program is, or None."""
        return shutil.which(self.program) or shutil.which(
            self.program, path="/usr/sbin:/usr/local/sbin"
        )

    @property
    def how(self) -> str:
        """Return what to type to get it on Debian or Ubuntu."""
        return f"apt-get install {self.package}"


REDIS = Part("redis-server", "redis-server", "the job queue on Redis")
NODE = Part("node", "nodejs", "clients, audits and verifiers written in JavaScript")
NPM = Part("npm", "npm", "installs those clients, audits and verifiers")
CURL = Part("curl", "curl", "the commands of docs/getting-started.md")
CHROMIUM = Part("chromium", "chromium", "the dashboard in a browser")
POSTFIX = Part("postfix", "postfix", "a real mail server as the receiver")
SMTP_SOURCE = Part("smtp-source", "postfix", "a load of mail by SMTP")
POSTGREY = Part("postgrey", "postgrey", "a receiver that greylists")
SWAKS = Part("swaks", "swaks libnet-ssleay-perl", "a real mail client's dialogues")
RSPAMD = Part("rspamd", "rspamd", "spam scores")
CLAMD = Part("clamd", "clamav-daemon", "virus scans")
MARIADB = Part("mariadbd", "mariadb-server", "the database of a Postal that is taken over")
DOVECOT = Part("dovecot", "dovecot-imapd", "mailboxes on somebody's IMAP server")
JAVA = Part("java", "default-jre-headless", "pages by the Nu validator of HTML")
PARTS = (
    REDIS,
    NODE,
    NPM,
    CURL,
    CHROMIUM,
    POSTFIX,
    SMTP_SOURCE,
    POSTGREY,
    SWAKS,
    RSPAMD,
    CLAMD,
    MARIADB,
    DOVECOT,
    JAVA,
)


def needs(part: Part) -> pytest.MarkDecorator:
    """Return the mark of a test that is skipped where *part* is missing."""
    return pytest.mark.skipif(
        part.path() is None, reason=f"{part.program} is missing: {part.how} ({part.purpose})"
    )


def skip_without(part: Part) -> None:
    """Skip the test that is running where *part* is missing."""
    if part.path() is None:
        pytest.skip(f"{part.program} is missing: {part.how} ({part.purpose})")


def needs_npm_package(name: str, *, folder: Path = TOOLS) -> pytest.MarkDecorator:
    """Return the mark of a test that is skipped where *folder* lacks npm's *name*."""
    place = folder.relative_to(TOOLS.parents[1])
    return pytest.mark.skipif(
        NODE.path() is None or not (folder / "node_modules" / name).is_dir(),
        reason=f"npm's {name} is missing: {NODE.how} npm, then npm ci --prefix {place}",
    )


def skipped(reports: Iterable[Any]) -> Iterator[tuple[str, int]]:
    """Yield each reason that tests were skipped for, and how many tests."""
    counts: dict[str, int] = {}
    for report in reports:
        place = report.longrepr
        reason = place[2] if isinstance(place, tuple) else str(place)
        reason = reason.removeprefix("Skipped: ")
        counts[reason] = counts.get(reason, 0) + 1
    yield from sorted(counts.items())


def figures(reports: Iterable[Any]) -> Iterator[str]:
    """Yield the lines that tests recorded, whichever process ran them."""
    for report in reports:
        for name, text in getattr(report, "user_properties", ()):
            if name == FIGURE and report.when == "call":
                yield text


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what programs from outside found, what was not tested, and how to get what it needs."""
    if told := sorted(figures(terminalreporter.stats.get("passed", ()))):
        terminalreporter.section("found by others")
        for line in told:
            terminalreporter.write_line(line)
    found = list(skipped(terminalreporter.stats.get("skipped", ())))
    if found:
        terminalreporter.section("not tested here")
        for reason, count in found:
            terminalreporter.write_line(f"{count} skipped: {reason}")
