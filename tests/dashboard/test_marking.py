"""Every text of pages is marked for translation: in templates, in Python, in scripts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "platform" / "dashboard"
TEMPLATES = PAGES / "templates"
CODE = {"code", "kbd", "pre", "script", "style"}
"""Elements whose text is no language's."""
TOLD = {"title", "placeholder", "aria-label", "alt", "label", "data-confirm"}
"""Attributes whose values people read."""
GALLERY = "gallery/index.html"
"""Shows those who make pages what there is; nobody else is led there."""
NAMES = {"Postlane"}
LETTERS = re.compile(r"[^\W\d_]{2}")
PHRASE = re.compile(r"[^\W\d_],? [^\W\d_(]|^[A-Z][a-z]+")
MARKS = {"_", "gettext", "ngettext"}
FILLED = {"no_permission"}
"""Macros that put what they are given into a sentence, however short it is."""


class Page:
    """HTML as it is read: whether what comes next is text, and within which tag or attribute."""

    def __init__(self) -> None:
        self.element = ""
        self.attribute = ""
        self.quote = ""
        self.is_tag = False
        self._word = ""

    def read(self, text: str) -> Iterator[str]:
        """Yield what of *text* people read."""
        said = ""
        for place, letter in enumerate(text):
            if self.quote:
                if letter == self.quote:
                    # One word that stands where something is typed is an example of it.
                    yield said if self.attribute != "placeholder" or " " in said else ""
                    said, self.quote, self.attribute = "", "", ""
                elif self.attribute in TOLD:
                    said += letter
            elif self.is_tag:
                self._in_tag(letter)
            elif letter == "<" and re.match(r"[a-zA-Z/!]", text[place + 1 : place + 2]):
                yield said
                said, self.is_tag, self._word, self.element = "", True, "", ""
            elif self.element not in CODE:
                said += letter
        yield said

    def _in_tag(self, letter: str) -> None:
        if letter in "\"'":
            self.quote, self.attribute, self._word = letter, self._word.rstrip("="), ""
        elif letter.isspace() or letter == ">":
            self.element = self.element or self._word
            self._word, self.is_tag = "", letter != ">"
        else:
            self._word += letter

    @property
    def is_read(self) -> bool:
        """Say whether people read what an expression writes here."""
        if self.is_tag:
            return bool(self.quote) and self.attribute in TOLD
        return self.element not in CODE


def unmarked(source: str) -> Iterator[str]:
    """Yield every text of a template that is shown as it is."""
    environment = Environment(
        extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True, autoescape=True
    )
    yield from _unmarked(environment.parse(source), Page())


def _unmarked(node: nodes.Node, page: Page) -> Iterator[str]:
    if isinstance(node, nodes.TemplateData):
        for text in page.read(node.data):
            if LETTERS.search(re.sub(r"&\w+;", "", text)) and text.strip(" ·") not in NAMES:
                yield text.strip()
    elif isinstance(node, nodes.Output):
        for each in node.nodes:
            if page.is_read and not isinstance(each, nodes.TemplateData):
                yield from _written(each)
            yield from _unmarked(each, page)
    elif isinstance(node, nodes.Call) and getattr(node.node, "name", "") in MARKS:
        return
    elif isinstance(node, nodes.Call) and getattr(node.node, "attr", "") in FILLED:
        for each in node.args:
            yield from [each.value] if isinstance(each, nodes.Const) else _unmarked(each, page)
    elif isinstance(node, nodes.Macro) and node.name == "live":
        return  # It writes attributes.
    elif isinstance(node, nodes.Const) and isinstance(node.value, str):
        value = re.sub(r"%\S+", "", node.value)
        if PHRASE.search(value) and "<" not in value:
            yield value
    elif isinstance(node, nodes.Compare | nodes.Getitem):
        return
    elif isinstance(node, nodes.Filter) and node.name in ("format", "replace", "selectattr"):
        assert node.node is not None
        yield from _unmarked(node.node, page)
    elif isinstance(node, nodes.Pair):
        yield from _unmarked(node.value, page)
    else:
        for each in node.iter_child_nodes():
            yield from _unmarked(each, page)


def _written(node: nodes.Node) -> Iterator[str]:
    """Yield words, however short, that an expression writes themselves."""
    match node:
        case nodes.Const(value=str(value)):
            if LETTERS.search(value) and not PHRASE.search(value) and value.islower():
                yield value
        case nodes.CondExpr():
            yield from _written(node.expr1)
            if node.expr2 is not None:
                yield from _written(node.expr2)
        case nodes.Or():
            yield from _written(node.right)
        case nodes.Concat():
            for each in node.nodes:
                yield from _written(each)


@pytest.mark.parametrize(
    "name", sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))
)
def test_every_text_of_a_template_is_marked(name: str) -> None:
    if name != GALLERY:
        assert list(unmarked((TEMPLATES / name).read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ("<p>{{ _('Hello') }} <code>GET</code> · &nbsp;</p>", []),
        ('<a title="Say it" href="/to/it">{{ name }}</a>', ["Say it"]),
        ("<i>{{ 'no' if x else 'yes' }}</i>", ["no", "yes"]),
        ('<i class="{{ \'bad\' if x }}">{{ y == "Some text" }}</i>', []),
        ("{{ ui.field('name', 'Your name', found) }}", ["Your name"]),
        ("{{ ui.no_permission('mail') }}{{ ui.no_permission(_('mail')) }}", ["mail"]),
        ("{% trans %}Hello <b>you</b>{% endtrans %}{% if x %}there{% endif %}", ["there"]),
    ],
)
def test_what_is_not_marked_is_found(source: str, found: list[str]) -> None:
    assert list(unmarked(source)) == found


CASES = {"lower", "upper", "capitalize", "title"}
SAID = {"words", "translated"}
"""Filters that look texts up."""


def recased(source: str) -> Iterator[str]:
    """Yield the number of each line of a template that changes the letters of a translation.

    Languages differ in where a capital stands, and some have none: it is part of the text.
    """
    tree = Environment(extensions=["jinja2.ext.i18n"]).parse(source)
    for node in tree.find_all((nodes.Filter, nodes.FilterBlock)):
        found = node.filter if isinstance(node, nodes.FilterBlock) else node
        if found.name in CASES:
            within = [each for part in node.iter_child_nodes() for each in (part, *_all(part))]
            looked_up = any(
                (isinstance(each, nodes.Filter) and each.name in SAID)
                or (isinstance(each, nodes.Call) and getattr(each.node, "name", "") in MARKS)
                for each in within
            )
            # A block shows text, whatever stands in it.
            if looked_up or isinstance(node, nodes.FilterBlock):
                yield f"line {node.lineno}"


def _all(node: nodes.Node) -> Iterator[nodes.Node]:
    return node.find_all(nodes.Node)


@pytest.mark.parametrize(
    "name", sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))
)
def test_no_template_changes_the_letters_of_a_text(name: str) -> None:
    assert list(recased((TEMPLATES / name).read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("{{ state|words|lower }}", ["line 1"]),
        ("\n{{ _(word)|capitalize }}", ["line 2"]),
        ("{{ (name or _('nobody'))|title }}", ["line 1"]),
        ("{% trans role=role|words|lower %}as {{ role }}{% endtrans %}", ["line 1"]),
        ("{% filter upper %}{{ _('No') }}{% endfilter %}", ["line 1"]),
        ("{{ theme|lower }}{{ _('Theme: %(theme)s', theme=theme|lower) }}", []),
    ],
)
def test_changed_letters_are_found(source: str, found: list[str]) -> None:
    assert list(recased(source)) == found


SENTENCE = re.compile(
    r"^(?!Cookie$|Location$|Vary$|Postal$)[A-Z][a-z]+( [^{]|$)|^[^{<]*[a-z] [a-z]+[^{]*[.!?]$"
)
"""Words of HTTP alone are none, nor is a product's name."""
OF_PROGRAMS = {"pages/gallery.py", "pages/explorer.py", "snippets.py", "assets.py"}
"""They hold documents and programs to copy, and what the gallery shows."""


def unmarked_in_python(source: str) -> Iterator[str]:
    """Yield every constant that is a text, and is neither marked nor a description."""
    passed: set[int] = set()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if called in {*MARKS, "N_", "Document", "shown", "AssertionError", "Series"}:
                within = node.args if called != "Series" else []
                passed |= {id(part) for each in within for part in ast.walk(each)}
        if isinstance(node, ast.JoinedStr):
            names = (each for each in node.values if isinstance(each, ast.Constant))
            passed |= {id(each) for each in names if " " not in str(each.value)}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            passed |= {id(part) for part in ast.walk(node.returns)}
    for node in ast.walk(tree):
        value = getattr(node, "value", None)
        if isinstance(value, str) and id(node) not in passed and SENTENCE.search(value):
            yield value


def test_every_text_of_python_is_marked() -> None:
    found = {
        path.relative_to(PAGES).as_posix(): list(unmarked_in_python(path.read_text("utf-8")))
        for path in PAGES.rglob("*.py")
    }

    assert {name: texts for name, texts in found.items() if texts and name not in OF_PROGRAMS} == {}


def test_a_text_of_python_that_is_not_marked_is_found() -> None:
    source = 'raise Fault(403, "You may not.")\nX = {"A": N_("Yes"), "B": "No answer"}'

    assert list(unmarked_in_python(source)) == ["You may not.", "No answer"]


SCRIPTS = sorted(each for each in (PAGES / "static").rglob("*.js") if ".min." not in each.name)
KEYS = {"Ctrl K", "Enter"}
LITERAL = re.compile(r"""(_\()?(["'`])((?:(?!\2)[^\\\n]|\\.)*)\2""")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_text_of_a_script_is_marked(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    code = "\n".join(line for line in lines if not line.lstrip().startswith("//"))

    found = {text for mark, _, text in LITERAL.findall(code) if not mark} - KEYS

    assert [text for text in found if re.match(r"[A-Z][a-z]+( |…|\.|$)", text)] == []
