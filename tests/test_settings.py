"""Settings: each is told, used and safe unless set; what does not parse stops the process."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from postlane.accounts.rules import Plan
from postlane.core.settings import PLANS, PREFIX, Address, Settings, SettingsError, load

ROOT = Path(__file__).resolve().parents[1]
DECLARED = fields(Settings)


def test_every_setting_is_told_in_a_sentence() -> None:
    told = {each.name: each.metadata["meaning"] for each in DECLARED}

    assert [name for name, text in told.items() if not re.match(r"[A-Z`].+\.$", text)] == []


def test_every_setting_is_read_or_says_that_it_is_not() -> None:
    files = (ROOT / "platform").rglob("*.py")
    code = "".join(path.read_text("utf-8") for path in files if path.name != "settings.py")

    unread = [each for each in DECLARED if not re.search(rf"\.{each.name}\b", code)]
    told = [each for each in unread if "ot part of this version" in each.metadata["meaning"]]
    assert unread == told


def test_plans_have_the_names_that_organizations_are_on() -> None:
    assert list(PLANS) == [plan.value for plan in Plan]
    found = load({"POSTLANE_KEEP_DAYS_BY_PLAN": " trial.messages=7, trial.contents=0 "})
    assert found.keep_days_by_plan == {("trial", "messages"): 7, ("trial", "contents"): 0}


def test_every_default_parses() -> None:
    found = load({})

    assert found.delivery == "capture"
    assert found.database_url == ""


def test_nothing_set_keeps_mail_and_listeners_on_this_machine() -> None:
    found = load({})

    assert found.delivery == "capture"
    assert found.listen == Address("127.0.0.1", 8000)
    assert found.environment == "production"
    assert found.trusted_proxies == ()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LISTENN", "x", "POSTLANE_LISTENN is not a setting."),
        ("LISTEN", "8000", "POSTLANE_LISTEN='8000' is not valid: write it as host:port."),
        ("LISTEN", "", "POSTLANE_LISTEN cannot be empty."),
        ("WEB_WORKERS", "many", "POSTLANE_WEB_WORKERS='many' is not valid: "),
        ("DELIVERY", "post", "POSTLANE_DELIVERY='post' is not valid: choose one of 'capture', "),
        ("DELIVERY", "relay", "POSTLANE_DELIVERY=relay needs POSTLANE_RELAY_URL."),
        ("PAYMENT", "stripe", "POSTLANE_PAYMENT=stripe needs POSTLANE_STRIPE_SECRET_KEY."),
        ("STRIPE_SECRET_KEY", "sk_test_1", "POSTLANE_STRIPE_SECRET_KEY and POSTLANE_STRIPE_WEB"),
        ("LEDGER_DAYS", "89", "POSTLANE_LEDGER_DAYS='89' is not valid: write 90 to 36500."),
        ("KEEP_DAYS_BY_PLAN", "gold.audit=30", "POSTLANE_KEEP_DAYS_BY_PLAN='gold.audit=30' is not"),
        (
            "KEEP_DAYS_BY_PLAN",
            "trial.messages=31",
            "POSTLANE_KEEP_DAYS_BY_PLAN has trial.messages=31",
        ),
        ("KEEP_DAYS_BY_PLAN", "trial.calls=0", "POSTLANE_KEEP_DAYS_BY_PLAN has trial.calls=0: a "),
        ("SECRET_KEY", "short", "POSTLANE_SECRET_KEY needs at least 32 characters."),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "POSTLANE_TRUSTED_PROXIES='10.0.0.1/8' is not valid: "),
        ("ENV_FILE", "/nowhere/at/all", "POSTLANE_ENV_FILE=/nowhere/at/all cannot be read: "),
    ],
)
def test_what_is_wrong_is_said_with_its_name(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({PREFIX + name: value})

    assert str(caught.value).startswith(sentence)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "postlane.env"
    file.write_text(
        "# a comment\n"
        "export POSTLANE_HOSTNAME='mail.example.com'\n"
        'POSTLANE_DELIVERY="direct"\n'
        "\n"
        "PATH=/elsewhere\n"
    )

    found = load({"POSTLANE_ENV_FILE": str(file), "POSTLANE_DELIVERY": "capture"})

    assert (found.hostname, found.delivery) == ("mail.example.com", "capture")
