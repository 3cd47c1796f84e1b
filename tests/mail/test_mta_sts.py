"""MTA-STS policies as senders read them, and those made to confuse."""

import pytest

from postlane.mail.mta_sts import (
    StsMode,
    StsPolicy,
    has_id,
    read_policy,
    report_uris,
    sts_record,
    sts_records,
)

GOOD = (
    "version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\nmx: *.example.net\r\n"
    "max_age: 604800\r\n"
)


def test_a_policy_is_read_as_it_is_written() -> None:
    policy = StsPolicy(StsMode.ENFORCE, 604_800, ("mx.example.com", "*.example.net"))

    assert read_policy(GOOD) == policy
    assert read_policy(policy.text) == policy
    assert read_policy(GOOD.replace("\r\n", "\n").replace("mode", "extra: 1\nmode")) == policy


@pytest.mark.parametrize(
    ("host", "matches"),
    [
        ("mx.example.com", True),
        ("a.example.net", True),
        ("example.net", False),
        ("a.b.example.net", False),
        ("a.mx.example.com", False),
        ("mx.example.com.evil.example", False),
    ],
)
def test_a_star_is_one_label(host: str, matches: bool) -> None:
    policy = StsPolicy(StsMode.ENFORCE, 60, ("mx.example.com", "*.example.net"))

    assert policy.matches(host) is matches


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "version"),
        ("<html>not found</html>", "colon"),
        (GOOD.replace("STSv1", "STSv2"), "version"),
        (GOOD.replace("enforce", "strict"), "mode"),
        (GOOD.replace("604800", "-1"), "max_age"),
        (GOOD.replace("604800", "99999999"), "max_age"),
        (GOOD.replace("604800", "9" * 5_000), "max_age"),
        ("version: STSv1\nmode: enforce\nmax_age: 60\n", "mx"),
        (GOOD.replace("*.example.net", "*.*.net"), "host name"),
        (GOOD.replace("*.example.net", "mx*.net"), "host name"),
        (GOOD.replace("*.example.net", "*"), "host name"),
        (GOOD.replace("*.example.net", "a b"), "host name"),
    ],
)
def test_what_is_wrong_with_a_policy_is_a_sentence(text: str, word: str) -> None:
    found = read_policy(text)

    assert isinstance(found, str)
    assert word in found


def test_a_policy_of_none_needs_no_host() -> None:
    assert read_policy("version: STSv1\nmode: none\nmax_age: 0") == StsPolicy(StsMode.NONE, 0, ())


def test_another_policy_is_announced_by_another_id() -> None:
    one = sts_record(StsPolicy(StsMode.TESTING, 60, ("a.example",)))
    two = sts_record(StsPolicy(StsMode.ENFORCE, 60, ("a.example",)))

    assert one != two
    assert has_id(one)
    assert has_id(two)
    assert sts_records([one, "v=STSv10; id=1", "id=1; v=STSv1"]) == [one]
    assert not has_id("v=STSv1; id=")
    assert not has_id("v=STSv1; id=" + "1" * 33)


@pytest.mark.parametrize(
    ("record", "count"),
    [
        ("v=TLSRPTv1; rua=mailto:a@b.example", 1),
        ("v=TLSRPTv1;rua=mailto:a@b.example,https://b.example/reports", 2),
        ("v=TLSRPTv1", 0),
        ("v=TLSRPTv1; rua=a@b.example", 0),
        ("v=TLSRPTv1; rua=mailto:a@b.example,", 0),
        ("v=TLSRPTv1; rua=http://b.example/", 0),
    ],
)
def test_reports_go_to_mail_or_https(record: str, count: int) -> None:
    assert len(report_uris(record)) == count
