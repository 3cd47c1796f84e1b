"""Logos: what mailboxes show, and what strangers put into an SVG instead."""

import time

import pytest

from postlane.domains.logo import issues_of_logo

HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" '
    'viewBox="0 0 64 64"><title>Shop</title>'
)
GOOD = HEAD + '<rect width="64" height="64" fill="#0a0"/></svg>'
XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
LAUGHS = '<!ENTITY l0 "ha">' + "".join(
    f'<!ENTITY l{n} "&l{n - 1};&l{n - 1};">' for n in range(1, 40)
)


def codes_of(svg: str) -> list[str]:
    return [issue.code.value for issue in issues_of_logo(svg.encode())]


@pytest.mark.parametrize(
    "inside",
    [
        '<rect width="64" height="64" fill="#0a0"/>',
        "<desc>A green square.</desc><g><path d='M0 0h64v64z'/></g>",
        "<defs><linearGradient id='g'><stop offset='0' stop-color='red'/></linearGradient></defs>"
        "<circle r='9' fill='url(#g)'/>",
        "<circle r='9' fill='url( #g )'/>",
        "<circle r='9' fill='url(&quot;#g&quot;)'/>",
        f"<use {XLINK} xlink:href='#a'/>",
        "<!-- made by hand --><?editor kept?>",
    ],
)
def test_a_plain_square_logo_has_no_issues(inside: str) -> None:
    assert codes_of(f"{HEAD}{inside}</svg>") == []


@pytest.mark.parametrize(
    ("svg", "code"),
    [
        ("", "logo_not_svg"),
        ("not xml", "logo_not_svg"),
        ("<svg", "logo_not_svg"),
        ("<html/>", "logo_not_svg"),
        ("<svg/>", "logo_not_svg"),
        ('<?xml version="1.0" encoding="klingon"?>' + GOOD, "logo_not_svg"),
        ('<!DOCTYPE svg SYSTEM "https://x.example/x.dtd">' + GOOD, "logo_not_svg"),
        ('<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + GOOD, "logo_not_svg"),
        (f"<!DOCTYPE svg [{LAUGHS}]>" + GOOD.replace("Shop", "&l39;"), "logo_not_svg"),
        ('<!DOCTYPE svg [<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;]>' + GOOD, "logo_not_svg"),
        (GOOD.replace('version="1.2"', 'version="1.1"'), "logo_not_tiny_ps"),
        (GOOD.replace("tiny-ps", "tiny"), "logo_not_tiny_ps"),
        (GOOD.replace("<svg ", '<svg x="0" '), "logo_not_tiny_ps"),
        (GOOD.replace("<rect ", '<rect style="fill:red" '), "logo_not_tiny_ps"),
        (GOOD.replace("</svg>", "<style>rect{}</style></svg>"), "logo_not_tiny_ps"),
        (GOOD.replace("</svg>", "<filter/></svg>"), "logo_not_tiny_ps"),
        (GOOD.replace("</svg>", '<rect xmlns="urn:other"/></svg>'), "logo_not_tiny_ps"),
        (GOOD.replace("<title>Shop</title>", ""), "logo_without_title"),
        (GOOD.replace("Shop", " "), "logo_without_title"),
        (GOOD.replace("</svg>", "<script>alert(1)</script></svg>"), "logo_has_script"),
        (GOOD.replace("</svg>", '<script xmlns="urn:x"/></svg>'), "logo_has_script"),
        (GOOD.replace("</svg>", "<foreignObject/></svg>"), "logo_has_script"),
        (GOOD.replace("<rect ", '<rect onload="x()" '), "logo_has_script"),
        (GOOD.replace("<rect ", '<rect ONCLICK="x()" '), "logo_has_script"),
        (GOOD.replace("</svg>", '<animate attributeName="x"/></svg>'), "logo_has_animation"),
        (GOOD.replace("</svg>", '<set attributeName="x"/></svg>'), "logo_has_animation"),
        (GOOD.replace("</svg>", "<image/></svg>"), "logo_has_raster"),
        (GOOD.replace("</svg>", "<a/></svg>"), "logo_has_reference"),
        (GOOD.replace("</svg>", "<use href='https://x.example/#a'/></svg>"), "logo_has_reference"),
        (
            GOOD.replace("</svg>", f"<use {XLINK} xlink:href='data:image/png;base64,AA'/></svg>"),
            "logo_has_reference",
        ),
        (GOOD.replace("#0a0", "url(https://x.example/)"), "logo_has_reference"),
        (GOOD.replace("#0a0", "url( 'x.svg#a')"), "logo_has_reference"),
        (GOOD.replace("#0a0", "JavaScript:x()"), "logo_has_reference"),
        (GOOD.replace("0 0 64 64", "0 0 64 32"), "logo_not_square"),
        (GOOD.replace("0 0 64 64", "0 0 64"), "logo_not_square"),
        (GOOD.replace("0 0 64 64", "0 0 0 0"), "logo_not_square"),
        (GOOD.replace("0 0 64 64", "0 0 nan nan"), "logo_not_square"),
        (GOOD.replace("0 0 64 64", f"0 0 {'9' * 400} {'8' * 400}"), "logo_not_square"),
        (GOOD.replace("0 0 64 64", "0 0 -4 -4"), "logo_not_square"),
        (GOOD.replace('viewBox="0 0 64 64"', 'width="64" height="64"'), "logo_not_square"),
        (GOOD.replace("<svg ", '<svg width="64" height="32" '), "logo_not_square"),
        (GOOD + " " * 32_768, "logo_too_large"),
        (HEAD + "<g/>" * 5_100 + "</svg>", "logo_too_large"),
    ],
)
def test_what_mailboxes_do_not_show_is_named(svg: str, code: str) -> None:
    assert codes_of(svg) == [code]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><script/><script/><image/></svg>'

    assert codes_of(svg) == [
        "logo_not_tiny_ps",
        "logo_without_title",
        "logo_not_square",
        "logo_has_script",
        "logo_has_raster",
    ]


@pytest.mark.parametrize(
    "octets",
    [b"\xff\xfe", b"\x00" * 100, GOOD.encode("utf-16"), b"\xef\xbb\xbf<svg", bytes(range(256))],
)
def test_any_bytes_get_an_answer(octets: bytes) -> None:
    issues_of_logo(octets)


@pytest.mark.parametrize(
    "svg",
    [
        HEAD + "<g>" * 4_000 + "</g>" * 4_000 + "</svg>",
        HEAD + "<g " + " ".join(f"a{n}=''" for n in range(4_000)) + "/></svg>",
        HEAD + f"<path d='{'url(' * 7_000}'/></svg>",
        HEAD.replace("0 0 64 64", "1" * 30_000) + "</svg>",
        HEAD.replace("0 0 64 64", f"0 0 {'1' * 30_000}x 1") + "</svg>",
    ],
)
def test_no_logo_takes_long(svg: str) -> None:
    started = time.process_time()

    issues_of_logo(svg.encode())

    assert time.process_time() - started < 0.5
