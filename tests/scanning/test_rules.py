"""What follows from what scanners say."""

from pathlib import Path

import pytest

from postlane.core.settings import SettingsError, load
from postlane.scanning.rules import (
    FileReport,
    FileVerdict,
    Rule,
    SpamVerdict,
    file_report,
    spam_verdict,
    suggestions_for,
)


@pytest.mark.parametrize(
    ("score", "verdict"),
    [
        (-3.0, SpamVerdict.PASS),
        (2.99, SpamVerdict.PASS),
        (3.0, SpamVerdict.WARN),
        (4.99, SpamVerdict.WARN),
        (5.0, SpamVerdict.FAIL),
    ],
)
def test_a_score_is_judged_by_its_threshold(score: float, verdict: SpamVerdict) -> None:
    assert spam_verdict(score, 5.0) is verdict


@pytest.mark.parametrize(
    ("reply", "report"),
    [
        ("stream: OK", FileReport(FileVerdict.CLEAN)),
        (
            "stream: Eicar-Test-Signature FOUND",
            FileReport(FileVerdict.INFECTED, ("Eicar-Test-Signature",)),
        ),
        (
            "stream: Heuristics.Encrypted.Zip FOUND",
            FileReport(FileVerdict.UNSCANNABLE, ("Heuristics.Encrypted.Zip",)),
        ),
        (
            "INSTREAM size limit exceeded. ERROR",
            FileReport(FileVerdict.UNSCANNABLE, ("The file is larger than the scanner takes.",)),
        ),
    ],
)
def test_a_reply_of_clamd_is_read(reply: str, report: FileReport) -> None:
    assert file_report(reply) == report


@pytest.mark.parametrize("reply", ["", "UNKNOWN COMMAND", "stream: Can't open file ERROR"])
def test_what_is_no_verdict_is_not_taken_for_one(reply: str) -> None:
    with pytest.raises(ValueError, match="clamd replied"):
        file_report(reply)


def test_what_would_help_most_is_suggested_first_and_once() -> None:
    rules = [
        Rule("MIME_HTML_ONLY", 0.2, ""),
        Rule("MISSING_SUBJECT", 2.0, ""),
        Rule("EMPTY_SUBJECT", 1.0, ""),
        Rule("SUBJ_ALL_CAPS", -1.0, ""),
        Rule("NOBODY_KNOWS", 9.0, ""),
    ]

    found = [code for code, _ in suggestions_for(rules)]

    assert found == ["missing_subject", "missing_text_part"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SCAN_OUTGOING", "all", "POSTLANE_RSPAMD_URL"),
        ("SCAN_INBOUND", "virus", "POSTLANE_CLAMD"),
        ("RSPAMD_URL", "localhost:11333", "http://"),
        ("CLAMD", "nowhere", "host:port"),
    ],
)
def test_a_scan_without_its_scanner_is_told_at_the_start(
    name: str, value: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=says):
        load({f"POSTLANE_{name}": value, "POSTLANE_DATA_DIR": str(tmp_path)})
