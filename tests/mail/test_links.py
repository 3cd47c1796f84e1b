"""Links that can be replaced: which ones, and that nothing else changes."""

import random
import time
from html.parser import HTMLParser

import pytest

from postlane.mail.links import LONGEST_TARGET, Cut, cut_html, cut_text, target_of


def numbered(number: int, target: str) -> str:
    return f"https://t.example/{number}"


def targets(cut: Cut) -> list[str]:
    return [gap.target for gap in cut.gaps if gap.target is not None]


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("https://a.example/x?y=1#z", "https://a.example/x?y=1#z"),
        ("HTTP://A.Example", "http://a.example"),
        (" \n https://a.example/a\tb\nc \x01", "https://a.example/abc"),
        ("https://a.example/%0d%0aSet-Cookie:x", "https://a.example/%0d%0aSet-Cookie:x"),
        ("https://a.example/ü b", "https://a.example/%C3%BC%20b"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://ａ．example/", "https://a.example/"),
        ("https://a.example:8443/?", "https://a.example:8443/?"),
        ("https://[2001:db8::1]:80/", "https://[2001:db8::1]:80/"),
        ("https://127.0.0.1/", "https://127.0.0.1/"),
        ("https://a.example/%41?q=%zz", "https://a.example/%41?q=%zz"),
        ('https://a.example/"><script>', "https://a.example/%22%3E%3Cscript%3E"),
        ("https://ada@a.example/", None),
        ("https://ada:pw@a.example/", None),
        ("https://@a.example/", None),
        ("https://a.example\\@evil.example/", None),
        ("https:\\\\a.example/", None),
        ("https:///a", None),
        ("https://", None),
        ("https://a b.example/", None),
        ("https://a..example/", None),
        ("https://{{host}}/", None),
        ("https://a.example:99999/", None),
        ("https://a.example:x/", None),
        ("https://[::1", None),
        ("https://xn--\udcff.example/", None),
        ("https://a.example/\ud800", None),
        ("https://a／b.example/", None),
        ("https:a.example", None),
        ("javascript:alert(1)//https://a.example", None),
        ("java\nscript:alert(1)", None),
        ("data:text/html,https://a.example", None),
        ("mailto:ada@a.example", None),
        ("tel:+1", None),
        ("ftp://a.example", None),
        ("//a.example/x", None),
        ("/x", None),
        ("#top", None),
        ("", None),
    ],
)
def test_a_link_leads_to_a_plain_address_or_is_left_alone(written: str, target: str | None) -> None:
    assert target_of(written) == target


def test_an_address_that_is_too_long_is_left_alone() -> None:
    exactly = "https://a.example/" + "x" * (LONGEST_TARGET - 18)

    assert target_of(exactly) == exactly
    assert target_of(exactly + "x") is None
    assert target_of("https://a.example/" + "ü" * 1_000) is None


def test_only_the_addresses_of_links_are_replaced_and_every_other_byte_stays() -> None:
    html = (
        "<!DOCTYPE html>\r\n<HTML><Body  class=x>\n"
        "<A title='a>b' HREF = 'https://a.example/?x=1&amp;y=2' >one</A >"
        '<a href="#top">top</a><a href="mailto:x@a.example">mail</a><a name=x>none</a>'
        '<img src="https://a.example/i.png"><link href="https://a.example/c.css">'
        "<area href=https://b.example/two/>"
        '<a href="https://c.example" data-no-track>left</a>'
        "<!-- <a href='https://d.example'>no</a> -->"
        "<style>a { content: '<a href=https://e.example>' }</style>"
        '<a href="https://f.example" href="https://g.example">three</a>'
        "<p>&copy; 2026 &nbsp;</p></Body>\n</HTML>\n"
    )
    cut = cut_html(html)

    filled = cut.fill(link=numbered, pixel="<img>")

    assert targets(cut) == [
        "https://a.example/?x=1&y=2",
        "https://b.example/two/",
        "https://f.example",
    ]
    assert filled == (
        html.replace("'https://a.example/?x=1&amp;y=2'", '"https://t.example/0"')
        .replace("https://b.example/two/", '"https://t.example/1"')
        .replace('"https://f.example"', '"https://t.example/2"')
        .replace("</Body>", "<img></Body>")
    )
    assert cut.fill() == html


@pytest.mark.parametrize(
    ("html", "filled"),
    [
        ("<p>x", "<p>x[P]"),
        ("<p>x</html>", "<p>x[P]</html>"),
        ("</body>x</body></html>", "</body>x[P]</body></html>"),
        ("<!-- </body> -->x", "<!-- </body> -->x[P]"),
        ("", "[P]"),
    ],
)
def test_the_pixel_goes_before_the_end_of_the_body(html: str, filled: str) -> None:
    assert cut_html(html).fill(pixel="[P]") == filled


@pytest.mark.parametrize(
    "href",
    [
        "https://shop.example/Unsubscribe?id=1",
        "https://shop.example/a/opt-out",
        "https://shop.example/x?do=optout",
        "https://shop.example/leave/1",
        "https://mail.example/track/unsubscribe/abc",
    ],
)
def test_nobody_is_watched_on_the_way_out(href: str) -> None:
    leave = ("https://shop.example/leave/", "https://mail.example/track/")

    cut = cut_html(f'<a href="{href}">leave</a>', leave=leave)

    assert targets(cut) == []


def test_a_parcel_is_no_unsubscribing() -> None:
    cut = cut_html('<a href="https://unsubscribe.example/track/1">where is it</a>')

    assert targets(cut) == ["https://unsubscribe.example/track/1"]


def test_addresses_in_plain_text_end_where_the_sentence_goes_on() -> None:
    text = (
        "See https://a.example/x, (https://b.example/y_(z)) or <https://c.example/>.\n"
        "Not ada@https://d.example, ftp://e.example nor https://f@g.example; "
        "https://h.example/unsubscribe\n"
    )
    cut = cut_text(text, first=3)

    assert targets(cut) == [
        "https://a.example/x",
        "https://b.example/y_(z)",
        "https://c.example/",
    ]
    assert cut.fill(link=numbered) == (
        text.replace("https://a.example/x", "https://t.example/3")
        .replace("https://b.example/y_(z)", "https://t.example/4")
        .replace("https://c.example/", "https://t.example/5")
    )
    assert cut.fill() == text


class _Shape(HTMLParser):
    """What an ordinary reader sees of a document, without the addresses of links."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, [(n, v) for n, v in attrs if (tag, n) != ("a", "href")]))

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(tag)

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


def test_another_reader_sees_the_same_document_but_for_its_links() -> None:
    chance = random.Random(7)
    parts = [
        "<p>",
        "</p>",
        "x &lt; y",
        "<a href='https://a.example/?a=1&b=2'>",
        "<a href=https://b.example>",
        '<a class="c" href="https://c.example/" id=d>',
        "</a>",
        "<br/>",
        "<!-- c -->",
        "<b title='>'>",
        "ünï",
    ]
    for _ in range(300):
        html = "".join(chance.choice(parts) for _ in range(30))
        before, after = _Shape(), _Shape()
        before.feed(html)
        after.feed(cut_html(html).fill(link=numbered))
        before.close()
        after.close()
        assert after.seen == before.seen


@pytest.mark.parametrize(
    "html",
    [
        "<a " * 300_000,
        "<a href=" * 150_000,
        "<a href='https://a.example'>" * 40_000,
        "<a href='https://" + "a." * 400_000 + "'>",
        "<!--" * 250_000,
        "<a href='" + "\n" * 1_000_000,
        "<style>" * 150_000,
        "</body>" * 150_000,
    ],
)
def test_hostile_html_takes_time_in_proportion(html: str) -> None:
    begun = time.process_time()
    cut = cut_html(html)
    filled = cut.fill(link=numbered, pixel="")
    took = time.process_time() - begun

    assert cut.fill() == html
    assert cut.link_count <= 1_000
    assert filled.count("https://t.example/") == cut.link_count
    assert took < 10


@pytest.mark.parametrize(
    "text", ["http://" * 150_000, "http://" + ")" * 1_000_000, "https://a.example/) " * 50_000]
)
def test_hostile_text_takes_time_in_proportion(text: str) -> None:
    begun = time.process_time()
    cut = cut_text(text)

    assert cut.fill() == text
    assert time.process_time() - begun < 10
