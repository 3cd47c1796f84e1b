"""DMARC records as receivers read them, junk included."""

import pytest

from postlane.domains.dmarc import DmarcPolicy, is_aligned, read_dmarc

NONE, QUARANTINE, REJECT = DmarcPolicy.NONE, DmarcPolicy.QUARANTINE, DmarcPolicy.REJECT


@pytest.mark.parametrize(
    ("text", "policy", "subdomains", "percent", "enforced"),
    [
        ("v=DMARC1; p=none", NONE, NONE, 100, False),
        ("v=DMARC1;p=reject", REJECT, REJECT, 100, True),
        ("v=DMARC1 ; p = Reject ;", REJECT, REJECT, 100, True),
        ("v=DMARC1; p=quarantine", QUARANTINE, QUARANTINE, 100, True),
        ("v=DMARC1; p=quarantine; pct=50", QUARANTINE, QUARANTINE, 50, False),
        ("v=DMARC1; p=reject; pct=50", REJECT, REJECT, 50, True),
        ("v=DMARC1; p=reject; sp=none", REJECT, NONE, 100, False),
        ("v=DMARC1; p=none; sp=reject", NONE, REJECT, 100, False),
        ("v=DMARC1; p=reject; p=none", REJECT, REJECT, 100, True),
        ("v=DMARC1; rua=mailto:a@b.example; p=reject; x-new=1", REJECT, REJECT, 100, True),
    ],
)
def test_a_record_says(
    text: str, policy: DmarcPolicy, subdomains: DmarcPolicy, percent: int, enforced: bool
) -> None:
    found = read_dmarc(text)

    assert found is not None
    assert (found.policy, found.subdomain_policy, found.percent) == (policy, subdomains, percent)
    assert (found.is_enforced, found.ignored) == (enforced, ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=DMARC1",
        "v=DMARC1;",
        "v=DMARC10; p=none",
        "v=dmarc1; p=none",
        "p=none; v=DMARC1",
        " v=DMARC1; p=none",
        "v=DMARC1; p=",
        "v=DMARC1; p=maybe",
        "v=DMARC1 p=none",
        "v=DMARC1; sp=none",
        "v=spf1 -all",
        "=;=;=;" * 1_000,
        "\x00\xff;p=none",
        "v=DMARC1;" + "p" * 60_000,
    ],
)
def test_junk_is_no_record(text: str) -> None:
    assert read_dmarc(text) is None


@pytest.mark.parametrize(
    ("tag", "ignored"),
    [
        ("pct=101", ("pct",)),
        ("pct=-1", ("pct",)),
        ("pct=٣", ("pct",)),
        ("pct=1e2", ("pct",)),
        ("sp=some", ("sp",)),
        ("adkim=x; aspf=", ("adkim", "aspf")),
        ("rua=a@b.example", ("rua",)),
        ("rua=mailto:a@b.example, mailto:c@d.example!10m", ()),
        ("ruf=mailto:", ("ruf",)),
    ],
)
def test_a_malformed_tag_is_named_and_its_default_counts(
    tag: str, ignored: tuple[str, ...]
) -> None:
    found = read_dmarc(f"v=DMARC1; p=quarantine; {tag}")

    assert found is not None
    assert (found.percent, found.subdomain_policy, found.ignored) == (100, QUARANTINE, ignored)


@pytest.mark.parametrize(
    ("authenticated", "header_from", "relaxed", "strict"),
    [
        ("example.com", "example.com", True, True),
        ("bounce.example.com", "example.com", True, False),
        ("example.com", "mail.example.com", True, False),
        ("a.example.com", "b.example.com", True, False),
        ("example.com", "example.org", False, False),
        ("shop.co.uk", "other.co.uk", False, False),
        ("evil-example.com", "example.com", False, False),
    ],
)
def test_what_is_authenticated_speaks_for_from(
    authenticated: str, header_from: str, relaxed: bool, strict: bool
) -> None:
    assert is_aligned(authenticated, header_from=header_from, strict=False) is relaxed
    assert is_aligned(authenticated, header_from=header_from, strict=True) is strict
