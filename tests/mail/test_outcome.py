"""What replies mean; each line was seen in the wild or is in an RFC."""

from datetime import UTC, datetime

import pytest

from postlane.mail.outcome import (
    BounceClass,
    BounceType,
    Verdict,
    classify_reply,
    outcome_of_reply,
    read_enhanced_code,
)


@pytest.mark.parametrize(
    ("code", "text", "bounce_class"),
    [
        (550, "5.1.1 The account that you tried to reach does not exist", "invalid_recipient"),
        (550, "5.1.1", "invalid_recipient"),
        (550, "5.1.2 Bad destination system address", "bad_domain"),
        (556, "5.1.10 Domain does not accept mail", "bad_domain"),
        (550, "5.1.10 RESOLVER.ADR.RecipientNotFound", "bad_domain"),
        (550, "5.2.1 The email account that you tried to reach is disabled.", "inactive_mailbox"),
        (552, "5.2.2 The recipient's inbox is out of storage space", "mailbox_full"),
        (552, "5.3.4 Message size exceeds fixed limit", "policy_rejected"),
        (554, "5.4.6 Routing loop detected", "policy_rejected"),
        (550, "5.4.1 Recipient address rejected: Access denied.", "invalid_recipient"),
        (552, "5.7.0 This message was blocked because its content presents a security issue:"
              " virus", "content_rejected"),
        (550, "5.7.1 Message rejected as spam by Content Filtering.", "content_rejected"),
        (554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using"
              " zen.spamhaus.org", "reputation_block"),
        (550, "5.7.1 Our system has detected that this message is likely suspicious due to the"
              " very low reputation of the sending IP address.", "reputation_block"),
        (550, "5.7.25 The IP address sending this message does not have a PTR record",
              "auth_failure"),
        (550, "5.7.26 Unauthenticated email from example.com is not accepted", "auth_failure"),
        (550, "5.7.1 Email rejected per DMARC policy for example.com", "auth_failure"),
        (554, "5.7.1 <a@example.org>: Relay access denied", "policy_rejected"),
        (550, "5.7.0 Local policy violation", "policy_rejected"),
        (530, "5.7.0 Authentication required", "policy_rejected"),
        (501, "Syntax error in parameters", "policy_rejected"),
        (550, "No such user here", "invalid_recipient"),
        (550, "Requested action not taken: mailbox unavailable", "invalid_recipient"),
        (550, "sorry, no mailbox here by that name", "unclassified"),
        (551, "User not local", "invalid_recipient"),
        (552, "Requested mail action aborted: exceeded storage allocation", "mailbox_full"),
        (521, "Host does not accept mail", "bad_domain"),
        (554, "Transaction failed", "unclassified"),
        (550, "", "unclassified"),
    ],
)  # fmt: skip
def test_a_5xx_bounces(code, text, bounce_class):
    assert classify_reply(code, text) == (Verdict.BOUNCED, BounceClass(bounce_class))


@pytest.mark.parametrize(
    ("code", "text", "bounce_class"),
    [
        (450, "4.2.1 The user you are trying to contact is receiving mail too quickly",
              "rate_limited"),
        (452, "4.2.2 The email account that you tried to reach is over quota.", "mailbox_full"),
        (450, "4.7.1 Greylisted, please try again later", "temporary_failure"),
        (421, "4.7.28 Our system has detected an unusual rate of unsolicited mail", "rate_limited"),
        (421, "4.7.0 Try again later, closing connection.", "rate_limited"),
        (421, "Too many concurrent connections", "rate_limited"),
        (421, "", "rate_limited"),
        (421, "4.3.2 Service shutting down", "temporary_failure"),
        (452, "4.5.3 Too many recipients", "rate_limited"),
        (451, "4.7.26 Unauthenticated email", "auth_failure"),
        (451, "4.3.0 Temporary local problem", "temporary_failure"),
        (451, "", "temporary_failure"),
        (299, "5.1.1 odd", None),
        (354, "odd", "temporary_failure"),
        (999, "odd", "temporary_failure"),
    ],
)  # fmt: skip
def test_everything_else_that_is_no_success_is_tried_again(code, text, bounce_class):
    expected = Verdict.DEFERRED if bounce_class else Verdict.DELIVERED

    assert classify_reply(code, text) == (expected, bounce_class and BounceClass(bounce_class))


@pytest.mark.parametrize(
    ("code", "text", "enhanced_code"),
    [
        (250, "2.1.5 OK", "2.1.5"),
        (550, "5.1.1", "5.1.1"),
        (550, "5.1.1\nmore", "5.1.1"),
        (550, "5.7.1300 x", None),
        (550, "4.1.1 x", None),
        (550, "x 5.1.1", None),
        (550, "5.1.1.1 x", None),
    ],
)
def test_an_enhanced_code_counts_only_where_it_agrees(code, text, enhanced_code):
    assert read_enhanced_code(code, text) == enhanced_code


def test_there_are_twelve_classes_of_three_types():
    types = {each.value: each.type_for(Verdict.BOUNCED) for each in BounceClass}

    assert types == {
        "invalid_recipient": BounceType.HARD,
        "inactive_mailbox": BounceType.HARD,
        "bad_domain": BounceType.HARD,
        "mailbox_full": BounceType.SOFT,
        "temporary_failure": BounceType.SOFT,
        "connection_failure": BounceType.SOFT,
        "rate_limited": BounceType.SOFT,
        "auth_failure": BounceType.BLOCK,
        "content_rejected": BounceType.BLOCK,
        "reputation_block": BounceType.BLOCK,
        "policy_rejected": BounceType.BLOCK,
        "unclassified": BounceType.HARD,
    }
    assert BounceClass.UNCLASSIFIED.type_for(Verdict.DEFERRED) is BounceType.SOFT


def test_an_outcome_keeps_the_reply():
    now = datetime(2026, 6, 1, tzinfo=UTC)

    outcome = outcome_of_reply(550, "5.1.1 No such user", started_at=now)

    assert (outcome.verdict, outcome.code, outcome.enhanced_code, outcome.text) == (
        Verdict.BOUNCED,
        550,
        "5.1.1",
        "5.1.1 No such user",
    )
    assert outcome.bounce_type is BounceType.HARD
    assert outcome_of_reply(250, "OK", started_at=now).bounce_type is None
