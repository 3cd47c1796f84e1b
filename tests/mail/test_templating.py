"""Templates: what each syntax makes of values, and that nothing a template does has no end."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from postlane.mail.renderers import Renderers
from postlane.mail.templating import Layer, Rendered, Syntax, Unrenderable

SECONDS = 4.0
"""A quarter of a second of its own, one that the system counts, and a busy machine."""


@pytest.fixture(scope="module")
def renderers() -> Iterator[Renderers]:
    """Processes of the tests' own."""
    opened = Renderers(1)
    yield opened
    opened.close()


def braces(html: str | None = None, **parts: str | None) -> Layer:
    return Layer(Syntax.BRACES, html=html, **parts)


def jinja(html: str | None = None, **parts: str | None) -> Layer:
    return Layer(Syntax.JINJA, html=html, **parts)


async def one(renderers: Renderers, *layers: Layer, **values: Any) -> Rendered:
    [made] = await renderers.render(layers, [values])
    assert isinstance(made, Rendered), made
    return made


async def refused(renderers: Renderers, *layers: Layer, **values: Any) -> Unrenderable:
    [made] = await renderers.render(layers, [values])
    assert isinstance(made, Unrenderable), made
    return made


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("Hi {{name}}!", "Hi Ann & Bob!"),
        ("Hi {{ name }}!", "Hi Ann & Bob!"),
        ("Hi {{NAME}}!", "Hi Ann & Bob!"),
        ("{{=name}}", "Ann & Bob"),
        ("{{&name}}", "Ann &amp; Bob"),
        ("{{%name}}", "Ann%20%26%20Bob"),
        ("{{$quoted}}", 'a\\"b<\\/script>'),
        ("{{nobody}}", ""),
        ("{{{name}}}", "{{name}}"),
        ("{{*}}", ""),
        ("{{*other}}", ""),
        ("{{number}} {{yes}} {{nothing}}", "8.5 true "),
        ("{{list}}", '[1, "a"]'),
        ("{{raw}}", "{{name}} <b>"),
        ("{{", "{{"),
        ("{{}}", "{{}}"),
        ("a } b { c", "a } b { c"),
        ("{{na me}}", "{{na me}}"),
        ("p { color: red }", "p { color: red }"),
    ],
)
async def test_braces_hold_values_as_they_are(renderers: Renderers, source: str, made: str) -> None:
    values = {
        "Name": "Ann & Bob",
        "quoted": 'a"b</script>',
        "number": 8.5,
        "yes": True,
        "nothing": None,
        "list": [1, "a"],
        "raw": "{{name}} <b>",
    }

    assert (await one(renderers, braces(source), **values)).html == made


async def test_jinja_escapes_html_and_nothing_else(renderers: Renderers) -> None:
    layer = jinja("<p>{{ n }}</p>", subject="For {{ n }}", text="Hi {{ n }}")

    made = await one(renderers, layer, n="<Ann>")

    assert made == Rendered("For <Ann>", "<p>&lt;Ann&gt;</p>", "Hi <Ann>")


async def test_a_subject_is_one_line(renderers: Renderers) -> None:
    made = await one(renderers, jinja(subject="Hi {{ n }}", text="x"), n="Ann\r\nBcc: x@y.example")

    assert made.subject == "Hi Ann Bcc: x@y.example"


@pytest.mark.parametrize("outer", [braces("<b>{{*}}</b>"), jinja("<b>{{ content }}</b>")])
@pytest.mark.parametrize("inner", [braces("<i>{{n}}</i>"), jinja("<i>{{ n }}</i>")])
async def test_a_layout_of_either_syntax_takes_content_of_either(
    renderers: Renderers, inner: Layer, outer: Layer
) -> None:
    assert (await one(renderers, inner, outer, n="Ann")).html == "<b><i>Ann</i></b>"


async def test_each_part_is_put_into_the_same_part(renderers: Renderers) -> None:
    inner = braces(text="Hi {{n}}", subject="Inner")
    outer = braces("<b>{{*}}</b>", text="--{{*}}--", subject="Outer")

    made = await one(renderers, inner, outer, n="Ann")

    assert made == Rendered("Inner", None, "--Hi Ann--")


async def test_a_layout_without_a_place_for_content_stands_alone(renderers: Renderers) -> None:
    made = await one(renderers, braces("<i>unseen</i>"), braces("<b>All of it</b>"))

    assert made.html == "<b>All of it</b>"


async def test_names_are_found_in_both_syntaxes(renderers: Renderers) -> None:
    assert await renderers.names(braces("{{A}} {{&b}} {{*}}")) == {"a", "b"}
    found = await renderers.names(jinja("{% for x in items %}{{ x }}{{ y.z }}{% endfor %}"))
    assert found == {"items", "y"}


@pytest.mark.parametrize(
    "source",
    [
        "{{ a ",
        "{% for x in y %}",
        "{% extends 'x' %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{{ a | nosuchfilter }}",
        "{% if a %}" * 60 + "{% endif %}" * 60,
        "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
        "{{ " + "[" * 5_000 + "]" * 5_000 + " }}",
        "{{ a" + ".b" * 2_000 + " }}",
        "{% for a in b %}" * 25 + "{% endfor %}" * 25,
    ],
)
async def test_what_cannot_be_read_is_refused_before_it_is_stored(
    renderers: Renderers, source: str
) -> None:
    began = time.monotonic()

    with pytest.raises(Unrenderable):
        await renderers.names(jinja(source))

    assert time.monotonic() - began < SECONDS


BOUNDLESS = {
    "range": "{% for i in range(10**9) %}x{% endfor %}",
    "loops in loops": "{% for a in range(99999) %}{% for b in range(99999) %}"
    "{{ a }}{% endfor %}{% endfor %}",
    "silent loops": "{% for a in range(99999) %}{% for b in range(99999) %}"
    "{% set c = a %}{% endfor %}{% endfor %}",
    "a long text": "{{ 'a' * 10**9 }}",
    "a text times itself": "{% set ns = namespace(a='aaaaaaaa') %}"
    "{% for i in range(99) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}{{ ns.a }}",
    "a power": "{{ 10 ** (10 ** 9) }}",
    "a power of powers": "{{ (9 ** 9) ** (9 ** 9) }}",
    "squares of squares": "{% set ns = namespace(a=10) %}"
    "{% for i in range(99) %}{% set ns.a = ns.a * ns.a %}{% endfor %}{{ ns.a }}",
    "a centred text": "{{ 'a' | center(10 ** 10) }}",
    "a format": "{{ '%9999999999d' | format(1) }}",
    "a formatted field": "{{ '{:9999999999}'.format(1) }}",
    "a justified text": "{{ 'a'.ljust(9999999999) }}",
    "an indent": "{{ ('a\n' * 900000) | indent(9999) }}",
    "replacing": "{% set a = 'a' * 900000 %}{{ a | replace('a', a) }}",
    "a macro in itself": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "a loop in itself": "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "much output": "{% for a in range(99999) %}" + "x" * 100 + "{% endfor %}",
    "lists of lists": "{{ range(99999) | batch(1) | list | string * 99 }}",
    "sorting": "{% for a in range(999) %}{{ (range(99999) | list | sort) and '' }}{% endfor %}",
}


@pytest.mark.parametrize("source", BOUNDLESS.values(), ids=BOUNDLESS)
async def test_what_has_no_end_is_refused_soon(renderers: Renderers, source: str) -> None:
    began = time.monotonic()

    why = await refused(renderers, jinja(source))

    assert why.is_boundless, why.reason
    assert time.monotonic() - began < SECONDS
    assert (await one(renderers, jinja("{{ n }}"), n="still here")).html == "still here"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ ''|attr('__class__') }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ lipsum() }}",
        "{{ [1]|random }}",
    ],
)
async def test_the_interpreter_is_out_of_reach(renderers: Renderers, source: str) -> None:
    [made] = await renderers.render([jinja(source)], [{}])

    assert isinstance(made, Unrenderable) or made.html in ("", None)


async def test_values_that_make_it_boundless_fail_alone(renderers: Renderers) -> None:
    layer = jinja("{% for a in range(n) %}{% for b in range(n) %}x{% endfor %}{% endfor %}")

    first, second, third = await renderers.render([layer], [{"n": 2}, {"n": 99999}, {"n": 1}])

    assert isinstance(first, Rendered)
    assert first.html == "xxxx"
    assert isinstance(second, Unrenderable)
    assert isinstance(third, Rendered)
    assert third.html == "x"


async def test_who_takes_the_process_down_fails_alone(renderers: Renderers) -> None:
    layer = jinja("{{ 'a' | center(n) | length }}")

    made = await renderers.render([layer], [{"n": 3}, {"n": 10**10}, {"n": 4}])

    assert [isinstance(each, Rendered) for each in made] == [True, False, True]


async def test_braces_do_not_grow_without_end(renderers: Renderers) -> None:
    why = await refused(renderers, braces("{{a}}" * 1_000), a="x" * 10_000)

    assert why.reason == "It becomes larger than 5 MiB."
    assert why.is_boundless


async def test_much_is_rendered_in_little_time(renderers: Renderers) -> None:
    layer = jinja("<p>Hi {{ name }}{% if vip %}, dear{% endif %}: {{ total }}</p>")
    await one(renderers, layer)
    began = time.monotonic()

    made = await renderers.render([layer], [{"name": f"n{n}", "total": n} for n in range(500)])

    assert len(made) == 500
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("start", ["{{", "{{{", "{{=", "{{a", "{{*", "{{{a", "{{ " * 1000])
@pytest.mark.parametrize("filler", [" ", "a", "{", "}", "{{ ", "{% "])
async def test_braces_that_never_close_are_read_at_once(
    renderers: Renderers, start: str, filler: str
) -> None:
    source = start + filler * 100_000
    began = time.monotonic()

    await renderers.names(braces(source))
    await one(renderers, braces("<p>{{*}}</p>"), braces(source), a="x")

    assert time.monotonic() - began < SECONDS


async def test_slow_templates_of_one_hold_up_nobody_elses() -> None:
    opened, done = Renderers(), list[str]()
    slow = jinja(BOUNDLESS["sorting"])

    async def preview(owner: str, layer: Layer) -> None:
        await opened.render([layer], [{}], owner=owner)
        done.append(owner)

    try:
        # Both processes are there before it begins: starting one takes as long as a slow one.
        await asyncio.gather(*(opened.render([jinja("{{ 1 }}")], [{}]) for _ in range(2)))
        asked = [preview("slow", slow) for _ in range(6)]
        asked += [preview(owner, jinja("Hello")) for owner in ("first", "second", "third")]
        await asyncio.gather(*asked)
    finally:
        opened.close()

    assert done.count("slow") == 6
    # One of the slow may end first where the machine is busy; the others' turns come after all.
    assert done.index("third") <= 4
