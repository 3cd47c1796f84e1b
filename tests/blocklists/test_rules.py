"""What is looked up, and what a list's answers mean."""

import pytest

from postlane.blocklists.catalogue import known_lists
from postlane.blocklists.rules import (
    Fault,
    Kind,
    Status,
    Subject,
    Terms,
    Verdict,
    fault_of,
    is_public,
    judge,
    read_address,
    read_domain,
)

LISTED, NOT_LISTED = Verdict(Status.LISTED), Verdict(Status.NOT_LISTED)
ERROR, TIMEOUT = Verdict(Status.ERROR), Verdict(Status.TIMEOUT)


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("192.0.2.99", "99.2.0.192.psbl.surriel.com"),
        (
            "2001:db8:1:2:3:4:567:89ab",
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.psbl.surriel.com",
        ),
    ],
)
def test_addresses_are_looked_up_backwards(subject: str, name: str) -> None:
    found = read_address(subject)

    assert found is not None
    assert found.name_in(known_lists()["psbl.surriel.com"]) == name


def test_a_domain_is_looked_up_as_it_is_written_in_the_dns() -> None:
    found = read_domain("Bücher.Example.")

    assert found == Subject("xn--bcher-kva.example", Kind.DOMAIN)
    assert found.name_in(known_lists()["dbl.spamhaus.org"]) == (
        "xn--bcher-kva.example.dbl.spamhaus.org"
    )


@pytest.mark.parametrize(
    "text", ["", "a b", "192.0.2.1", "no-dot", "a..b", "x" * 64 + ".example", "é" * 300, "a/b.c"]
)
def test_what_is_no_domain_is_not_looked_up(text: str) -> None:
    assert read_domain(text) is None


@pytest.mark.parametrize("text", ["", "1.2.3", "::g", "fe80::1%eth0", "1.2.3.4/24", "٣.2.3.4"])
def test_what_is_no_address_is_not_looked_up(text: str) -> None:
    assert read_address(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("11.0.0.1", True),
        ("127.0.0.2", True),
        ("::ffff:127.0.0.2", True),
        ("127.0.0.3", False),
        ("10.0.0.1", False),
        ("203.0.113.1", False),
        ("2a00::1", True),
        ("fd00::1", False),
    ],
)
def test_only_public_addresses_and_test_points_are_asked_about(text: str, expected: bool) -> None:
    found = read_address(text)

    assert found is not None
    assert is_public(found) is expected


@pytest.mark.parametrize(
    ("zone", "codes", "status", "meanings"),
    [
        ("zen.spamhaus.org", [], Status.NOT_LISTED, ()),
        ("zen.spamhaus.org", ["127.0.0.3", "127.0.0.11"], Status.LISTED, ("CSS", "PBL")),
        ("zen.spamhaus.org", ["127.0.0.200"], Status.LISTED, ()),
        # Asked through a public resolver, and asked too often.
        ("zen.spamhaus.org", ["127.255.255.254"], Status.ERROR, ()),
        ("zen.spamhaus.org", ["127.0.0.2", "127.255.255.255"], Status.ERROR, ()),
        ("multi.surbl.org", ["127.0.0.72"], Status.LISTED, ("phishing", "abuse")),
        ("multi.surbl.org", ["127.0.0.1"], Status.ERROR, ()),
        ("multi.uribl.com", ["127.0.0.1"], Status.ERROR, ()),
        ("hostkarma.junkemailfilter.com", ["127.0.0.1"], Status.NOT_LISTED, ()),
        ("hostkarma.junkemailfilter.com", ["127.0.0.1", "127.0.0.2"], Status.LISTED, ("black",)),
        # The domain of a dead list, parked by whoever bought it.
        ("bl.spamcop.net", ["192.0.2.80"], Status.ERROR, ()),
    ],
)
def test_answers_mean_what_their_list_says(
    zone: str, codes: list[str], status: Status, meanings: tuple[str, ...]
) -> None:
    found = judge(known_lists()[zone], codes)

    assert (found.status, found.meanings) == (status, meanings)


@pytest.mark.parametrize(
    ("listed", "unlisted", "fault"),
    [
        (LISTED, NOT_LISTED, None),
        (NOT_LISTED, NOT_LISTED, Fault.LISTS_NOTHING),
        (LISTED, LISTED, Fault.LISTS_EVERYTHING),
        (ERROR, ERROR, Fault.REFUSES),
        (TIMEOUT, NOT_LISTED, Fault.SILENT),
    ],
)
def test_a_list_is_judged_by_what_every_list_has(
    listed: Verdict, unlisted: Verdict, fault: Fault | None
) -> None:
    assert fault_of(listed, unlisted) is fault


def test_more_than_200_lists_are_known_with_their_terms() -> None:
    known = known_lists()

    assert len(known) > 200
    assert {kind for each in known.values() for kind in each.kinds} == set(Kind)
    assert {each.terms for each in known.values()} == set(Terms)
    assert all(each.note and each.site and each.delist_url for each in known.values())
    assert all(zone == each.zone == zone.lower() for zone, each in known.items())
