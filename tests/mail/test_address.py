"""What is an address, what is not, and how it stands in a header."""

from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest

from postlane.mail.address import (
    InvalidAddress,
    Mailbox,
    format_mailbox,
    parse_domain,
    parse_mailbox,
    parse_mailboxes,
)


@pytest.mark.parametrize(
    ("text", "display_name", "address"),
    [
        ("a@b.example", "", "a@b.example"),
        ("A.b+tag@B.Example", "", "A.b+tag@b.example"),
        ("  a@b.example ", "", "a@b.example"),
        ("<a@b.example>", "", "a@b.example"),
        ("Ann <a@b.example>", "Ann", "a@b.example"),
        ("  Ann  B. & Co.?  <a@b.example>", "Ann B. & Co.?", "a@b.example"),
        ("Ann<A.b@B.Example>", "Ann", "A.b@b.example"),
        (" <a@b.example>", "", "a@b.example"),
        ("J. R. (Bob) [x] <a@b.example>", "J. R. (Bob) [x]", "a@b.example"),
        ('"Smith, \\"J\\" \\\\" <a@b.example>', 'Smith, "J" \\', "a@b.example"),
        ('"a@b.example" <c@d.example>', "a@b.example", "c@d.example"),
        ("José   Ñandú <a@b.example>", "José Ñandú", "a@b.example"),
        ("=?utf-8?q?Jos=C3=A9?= <a@b.example>", "José", "a@b.example"),
        ("=?iso-8859-1?q?Jos=E9?= =?utf-8?b?w5E=?= <a@b.example>", "JoséÑ", "a@b.example"),
        ("=?no-such-charset?q?x?= <a@b.example>", "=?no-such-charset?q?x?=", "a@b.example"),
        ("x@BÜCHER.example", "", "x@xn--bcher-kva.example"),
        ("x@xn--bcher-kva.example", "", "x@xn--bcher-kva.example"),
        ("x@例え。テスト", "", "x@xn--r8jz45g.xn--zckzah"),
        ("josé@example.com", "", "josé@example.com"),
        ("jose\u0301@example.com", "", "josé@example.com"),
        ('"two words"@example.com', "", '"two words"@example.com'),
        ('"needless"@example.com', "", "needless@example.com"),
        ("x@mail.local", "", "x@mail.local"),
    ],
)
def test_one_mailbox_is_read(text, display_name, address):
    assert parse_mailbox(text) == Mailbox(display_name, address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@example.com",
        "a@",
        "a@localhost",
        "a@b..example",
        "a@.example",
        "a@-b.example",
        "a@b_c.example",
        "a@b.example.",
        "a@10.0.0.1",
        "a@[10.0.0.1]",
        "a@[IPv6:::1]",
        "a b@example.com",
        ".a@example.com",
        "a..b@example.com",
        "a@b@example.com",
        "a@b.example, c@d.example",
        "team: a@b.example, c@d.example;",
        "<a@b.example> <c@d.example>",
        "Smith, Ann <a@b.example>",
        "a@b.example <c@d.example>",
        '"Ann <a@b.example>',
        "<a@b.example",
        "a@b.example>",
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example\n",
        "Ann\r\nBcc: c@d.example <a@b.example>",
        "=?utf-8?q?Ann=0D=0ABcc:_c@d.example?= <a@b.example>",
        "a\0@b.example",
        "Ann\0 <a@b.example>",
        "Ann\u2028 <a@b.example>",
        "\ud800@b.example",
        "a@\ud800.example",
        "a@xn--a.example",
        "x" * 65 + "@example.com",
        "é" * 33 + "@example.com",
        "x@" + "y" * 64 + ".example",
        "x@" + "y.example." * 30 + "com",
        "x" * 64 + "@" + ".".join(["y" * 60] * 3) + ".example.com",
        "x" * 100_000,
        "@" * 900,
        '"' * 900 + "@example.com",
        "xn--" + "9" * 900 + "@xn--" + "9" * 200 + ".com",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(InvalidAddress):
        parse_mailbox(text)


def test_two_spellings_of_one_mailbox_have_one_key():
    first = parse_mailbox("Ann <A.Smith@BÜCHER.example>")
    second = parse_mailbox("a.smith@xn--bcher-kva.EXAMPLE")

    assert first.key == second.key == "a.smith@xn--bcher-kva.example"
    assert (first.local_part, first.domain) == ("A.Smith", "xn--bcher-kva.example")


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", []),
        (" , ,", []),
        ("undisclosed-recipients:;", []),
        ("a@b.example", ["a@b.example"]),
        (
            '"x, y; z" <c@d.example>, team: e@f.example, g@h.example;, (a, (b) c) i@j.example',
            ["c@d.example", "e@f.example", "g@h.example", "i@j.example"],
        ),
    ],
)
def test_address_fields_are_read(text, addresses):
    assert [mailbox.address for mailbox in parse_mailboxes(text)] == addresses


@pytest.mark.parametrize("text", ["a@b.example (", "a@b.example, c", '"a@b.example, c@d.example'])
def test_broken_address_fields_are_refused(text):
    with pytest.raises(InvalidAddress):
        parse_mailboxes(text)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Example.COM", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("a-1.b2.example", "a-1.b2.example"),
        ("4.example", "4.example"),
    ],
)
def test_domains_have_one_form(text, domain):
    assert parse_domain(text) == domain


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "example",
        "10.0.0.1",
        "[10.0.0.1]",
        "a b.example",
        "a..example",
        "::1",
        "a/b.example",
        "example.com\n",
        "x" * 64 + ".example",
        "xn--0.example",
        "example.com:25",
        "*.example",
    ],
)
def test_what_is_no_domain_is_refused(text):
    with pytest.raises(InvalidAddress):
        parse_domain(text)


@pytest.mark.parametrize(
    ("mailbox", "formatted"),
    [
        (Mailbox("", "a@b.example"), "a@b.example"),
        (Mailbox("Ann Smith", "a@b.example"), "Ann Smith <a@b.example>"),
        (Mailbox("Smith, Ann", "a@b.example"), '"Smith, Ann" <a@b.example>'),
        (Mailbox('A "B" \\', "a@b.example"), '"A \\"B\\" \\\\" <a@b.example>'),
        (Mailbox("José", "a@b.example"), "=?utf-8?b?Sm9zw6k=?= <a@b.example>"),
        (Mailbox("=?utf-8?q?x?=", "a@b.example"), "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <a@b.example>"),
        (Mailbox("Ann\r\nBcc: x@y.example", "a@b.example"), '"Ann Bcc: x@y.example" <a@b.example>'),
    ],
)
def test_a_mailbox_cannot_leave_its_header(mailbox, formatted):
    assert format_mailbox(mailbox) == formatted


def test_an_address_of_unknown_making_cannot_leave_its_header():
    with pytest.raises(InvalidAddress):
        format_mailbox(Mailbox("", "a@b.example>\r\nBcc: x@y.example"))


@pytest.mark.parametrize("name", ['Ann, of "X" \\ <y>; z: (a)', "Ñ" * 150, "日本 " * 50, "a =?b"])
def test_another_reader_sees_the_same_name(name):
    formatted = format_mailbox(Mailbox(name, "a@b.example"))

    # The newer reader of the standard library leaves spaces between encoded words.
    encoded, address = parseaddr(formatted)

    assert (str(make_header(decode_header(encoded))), address) == (name.strip(), "a@b.example")
