"""What notices say: every one has its templates, and nothing in a value can break out."""

import json
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from markupsafe import escape

from postlane.core.crypto import seal
from postlane.core.ids import new_id
from postlane.core.settings import SettingsError, load
from postlane.notices.rendering import PURPOSE, TEMPLATES, render, senders, texts
from postlane.notices.rules import VALUES, Notice

NUMBERS = {notice: dict[str, str]() for notice in Notice} | {
    Notice.CREDITS_LOW: {"balance": "19"},
    Notice.RECOVERY_CODE_USED: {"left": "8"},
}
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("notice", Notice)
def test_every_notice_says_all_that_it_is_told(notice: Notice) -> None:
    values = {name: f"<{name}>" for name in VALUES[notice]} | NUMBERS[notice]

    subject, text, html = texts(notice, values)

    assert subject
    assert not subject.endswith(".")
    assert [name for name, value in values.items() if value not in f"{subject} {text}"] == []
    assert [name for name, value in values.items() if escape(value) not in html] == []
    assert [name for name in values if f"<{name}>" in html] == []


def test_every_template_belongs_to_a_notice() -> None:
    files = {path.name for path in TEMPLATES.iterdir() if not path.name.startswith("_")}

    assert files == {f"{notice.value}.jinja" for notice in Notice}


def test_a_name_writes_no_header_and_no_markup() -> None:
    values = dict.fromkeys(VALUES[Notice.INVITATION], "x") | {
        "invited_by": "Eve\r\nBcc: all@example.com\n\n<script>alert(1)</script>",
    }

    mail = message_from_bytes(_rendered(Notice.INVITATION, values), policy=policy.default)

    assert mail["bcc"] is None
    assert mail["subject"].startswith("Eve Bcc: all@example.com <script>")
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()


def test_a_notice_is_from_the_postmaster_and_to_one_person() -> None:
    values = dict.fromkeys(VALUES[Notice.PASSWORD_RESET], "x")

    mail = message_from_bytes(_rendered(Notice.PASSWORD_RESET, values), policy=policy.default)

    assert mail["from"] == "Postlane <postmaster@mail.postlane.test>"
    assert mail["to"] == "ada@dest.example"
    assert mail["auto-submitted"] == "auto-generated"
    assert mail["message-id"].endswith("@mail.postlane.test>")
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


@pytest.mark.parametrize(
    ("settings", "header", "envelope"),
    [
        ({"HOSTNAME": "mail.example.com"}, "postmaster@mail.example.com", True),
        ({"HOSTNAME": "laptop"}, "postmaster@laptop", False),
        ({"HOSTNAME": "m.example", "NOTICE_FROM": "no@example.com"}, "no@example.com", True),
        ({"NOTICE_FROM": "Acme Mail <hello@example.com>"}, "hello@example.com", True),
    ],
)
def test_the_sender_is_the_one_of_the_settings(
    settings: dict[str, str], header: str, envelope: bool
) -> None:
    found = load({f"POSTLANE_{name}": value for name, value in settings.items()})

    mailbox, sender = senders(found)

    assert mailbox.address == header
    assert sender == (header if envelope else "")


@pytest.mark.parametrize(
    "value", ["nobody", "a@b@c.example", "a@host", "a@b.example\r\nBcc: x@y.example", "<a@b.c"]
)
def test_a_sender_that_is_no_address_stops_the_start(value: str) -> None:
    with pytest.raises(SettingsError, match="POSTLANE_NOTICE_FROM"):
        load({"POSTLANE_NOTICE_FROM": value})


def _rendered(notice: Notice, values: dict[str, str]) -> bytes:
    sealed = seal(json.dumps(values).encode(), purpose=PURPOSE)
    return render(
        notice, language="", id=new_id(), to="ada@dest.example", sealed_values=sealed, created_at=AT
    ).data
