"""HTML as tags and texts, and as what a reader sees."""

import time

import pytest

from postlane.mail.markup import Tag, Text, declared_language, read_tokens, text_from_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<div>One</div><div>Two</div>", "One\nTwo"),
        ("One<br>Two<br/><br>Three", "One\nTwo\n\nThree"),
        ("  a \n  <b> b </b>c ", "a b c"),
        ("<h1>A &amp; B</h1>&lt;p&gt; &euro;&#8212;&nbsp;x", "A & B\n\n<p> €— x"),
        ("<ul><li>a<li>b</ul>after", "- a\n- b\n\nafter"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc"),
        (
            '<a href="https://a.example/?x=1&amp;y=2">Here</a>!',
            "Here (https://a.example/?x=1&y=2)!",
        ),
        ("<a href=https://a.example>https://a.example</a>", "https://a.example"),
        ("<a href='mailto:a@b.example'>a@b.example</a>", "a@b.example"),
        ("<a href='#top'>Up</a> <a href='javascript:x'>y</a>", "Up y"),
        (
            "<a href='https://a.example'><img src=x alt='Our logo'></a>",
            "Our logo (https://a.example)",
        ),
        ("<a href='https://a.example'><img src=x></a>", "https://a.example"),
        ("<head><title>T</title><style>p{}</style></head><p>x", "x"),
        ("<script>if (a<b) document.write('<p>no</p>')</script>yes", "yes"),
        ("<!-- <p>no</p> -->yes<!doctype html><?xml no?><!>", "yes"),
        ("<!-->yes<!--->yes", "yesyes"),
        ("a<!-- never ends", "a"),
        ("a<p title='never ends>b", "a"),
        ("a<p", "a"),
        ("1 < 2 <3 </ 4>", "1 < 2 <3"),
        ("<pre>  a\n\n   b</pre>", "  a\n\n   b"),
        ("<p title='>'>x</p><p title=\"'>'\">y", "x\n\ny"),
        ("<template><p>no</p></template>yes", "yes"),
        ("<hr>x", "---\nx"),
    ],
)
def test_text_is_what_a_reader_sees(html, text):
    assert text_from_html(html) == text.strip()


def test_a_value_can_be_replaced_where_it_stands():
    html = '<p>é</p><A class=x HREF = "https://a.example/?a=1&amp;b=2" >y</a>'

    tag = next(t for t in read_tokens(html) if isinstance(t, Tag) and t.name == "a")

    href = next(attribute for attribute in tag.attributes if attribute.name == "href")
    assert href.value == tag.get("href") == "https://a.example/?a=1&b=2"
    assert html[href.start : href.end] == '"https://a.example/?a=1&amp;b=2"'
    assert html[tag.start : tag.end].startswith("<A class=x")


def test_what_stands_in_a_script_is_no_tag():
    tokens = list(read_tokens("<script>'<a href=x>'</SCRIPT ><a>"))

    assert [t.name for t in tokens if isinstance(t, Tag)] == ["script", "script", "a"]
    assert [t for t in tokens if isinstance(t, Text)] == [Text("'<a href=x>'", is_raw=True)]


@pytest.mark.parametrize(
    "piece",
    [
        "<a ",
        "<!",
        "<!--",
        "</",
        "&",
        "<a x='",
        '<a x="',
        "<?",
        "<![CDATA[",
        "<script>",
        "<a/",
        "<a x=",
        "<",
        "</a ",
        "<textarea><",
        "&#",
        "<div>",
        "<b><p>",
        "<a x",
        "<script></scriptx",
        "<a x ",
        "<a =",
        "<br>",
        "<pre>\n",
        "<td>",
        "<a href=http:a>x",
        "<img alt=a>",
        "<a\n",
    ],
)
def test_no_input_keeps_us_busy(piece):
    started = time.process_time()

    text_from_html(piece * 30_000)

    assert time.process_time() - started < 3


def test_a_character_reference_without_end_is_read() -> None:
    assert text_from_html(f"<p>a&#{'9' * 5000};b</p>") == "a\ufffdb"


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ("<!doctype html>\n<!-- made --><HTML Lang='de-AT'><p lang=fr>x", "de-AT"),
        ("<html lang=x-klingon>", ""),
        ('<html lang="en onclick">', ""),
        ("<html dir=rtl><p lang=fr>", ""),
        ("Hello <html lang=en>", ""),
        ("<p>Hello</p><html lang=en>", ""),
        ("", ""),
    ],
)
def test_the_language_is_what_the_document_says_of_itself(html: str, language: str) -> None:
    assert declared_language(html) == language
