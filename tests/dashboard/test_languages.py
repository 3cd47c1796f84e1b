"""Languages: pages speak the one that a person chose, or else what the browser asks for."""

import re
from pathlib import Path
from zoneinfo import available_timezones

import pytest
from babel.messages.pofile import read_po

from postlane.accounts.tables import User
from postlane.core import languages
from postlane.core.database import fetch
from postlane.dashboard import assets
from tests.client import Client
from tests.dashboard.browser import Browser
from tests.dashboard.test_html import full
from tests.people import registered
from tests.pseudo import PSEUDO, pseudo, untranslated

FROM_THE_SCHEMA = {
    "explorer type": "descriptions of the schema",
    "absent": "refusals say why as the schema does",
    "/security": "why something is stopped",
    "/security/rules": "names of rules",
    "/security/blocklists": "what lists say of themselves",
    "/admin/health": "what was found, and what to do",
    "/gallery": "it shows those who make pages what there is",
}
"""Pages with sentences that the schema answers: those are English for everybody."""
DATA = {
    *"Acme Example Postlane Robin".split(),  # who is there
    *"Hello Order Shop Thanks more name name. one receipt".split(),  # what was made and sent
    *"default de domain key Default".split(),  # of a pool, a language, what changed, a project
    *"English Esperanto Braces Jinja Postal Python curl if ms".split(),
    *available_timezones(),
}


NUMBERED = re.compile(r"%\(\w+\)s (?:[a-z-]+ ){0,2}?[a-z]+s\b")
NOT_NUMBERED = {
    "%(action)s when it is",
    "%(address)s is",
    "%(bounced)s of what was",
    "%(complained)s of what was",
    "%(day)s of its",
    "%(invited_by)s invites",
    "%(ipv4)s bits",  # a network of one bit is half of the Internet
    "%(name)s invites",
    "%(name)s is",
    "%(name)s with all its",
    "%(organization)s has",
    "%(organization)s was",
    "%(pass_rate)s of what has",
    "%(product)s no longer calls",
    "%(product)s was",
    "%(score)s on mail is",
    "%(threshold)s is",
    "%(took)s ms",
    "%(type)s credits",
    "%(url)s is",
    "%(used_this_period)s used this",
    "%(wanted)s allows",
}
"""What looks like a number of things, and is none, or never one."""


def test_every_number_of_things_has_words_for_one() -> None:
    with (languages.FOLDER / "postlane.pot").open("rb") as file:
        texts = [message.id for message in read_po(file)]

    found = {words for text in texts if isinstance(text, str) for words in NUMBERED.findall(text)}

    assert found == NOT_NUMBERED


@pytest.mark.usefixtures("another_language")
async def test_nothing_of_a_page_is_left_in_english(client: Client) -> None:
    browser, pages = await full(client, rows=2)
    found: dict[str, set[str]] = {}
    for name, path in pages.items():
        answer = await browser.get(path, **{"accept-language": "eo;q=0.8, en;q=0.5"})
        assert answer.status_code == (404 if name == "absent" else 200), name
        assert '<html lang="eo"' in answer.text, name
        found[name] = untranslated(answer.text)

    # Other tests' things are in some lists.
    names = await fetch("SELECT name FROM organizations UNION SELECT name FROM credit_packages")
    data = DATA | {word for row in names for word in row["name"].split()}
    left = {name: words - data for name, words in found.items() if name not in FROM_THE_SCHEMA}
    assert {name: words for name, words in left.items() if words} == {}


@pytest.mark.usefixtures("another_language")
async def test_a_language_is_chosen_by_a_person_before_the_browser(client: Client) -> None:
    person = await registered(client)
    browser = Browser(client, person["token"])
    wish = {"accept-language": "de, eo;q=0.9"}

    asked = (await browser.get("/orgs", **wish)).text
    saved = await browser.submit("/account", "/account/looks", {"language": "en"})
    chosen = (await browser.get("/orgs", **wish)).text
    page = (await browser.get("/account")).text
    (row,) = await User.objects().where(User.email == person["user"]["email"])

    assert '<html lang="eo"' in asked
    assert pseudo("Create another one") in asked
    assert saved.headers["location"] == "/account?done=saved"
    assert '<html lang="en"' in chosen
    assert "Create another one" in chosen
    assert re.search(r'<option value="en" selected>English</option>', page)
    assert '<option value="eo">Esperanto</option>' in page
    assert row.language == "en"


@pytest.mark.usefixtures("another_language")
async def test_what_goes_wrong_is_told_in_the_language_of_the_person(client: Client) -> None:
    person = await registered(client)
    browser = Browser(client, person["token"])
    slug = person["organization"]["slug"]
    await browser.submit("/account", "/account/looks", {"language": PSEUDO})

    fault = await browser.get(f"/o/{slug}/messages/nothing", **{"accept-language": "en"})
    other = await browser.get("/reset", **{"accept-language": "en"})

    assert fault.status_code == 404
    assert f'<html lang="{PSEUDO}"' in fault.text
    assert pseudo("There is nothing here") in fault.text
    assert f'<html lang="{PSEUDO}"' in other.text


async def test_a_language_without_texts_is_refused(client: Client) -> None:
    person = await registered(client)
    browser = Browser(client, person["token"])

    refused = await browser.submit("/account", "/account/looks", {"language": "tlh"})
    page = (await browser.get("/login", **{"accept-language": "tlh, x;q=no, *"})).text

    assert refused.status_code == 422
    assert 'href="#language"' in refused.text
    assert '<html lang="en"' in page


@pytest.mark.usefixtures("another_language")
@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("", "en"),
        ("eo", "eo"),
        ("eo-XX, en;q=0.1", "eo"),
        ("en;q=0.2,eo;q=0.3", "eo"),
        ("eo;q=0, en", "en"),
        ("q=;;,,;q=", "en"),
        ("eo;q=1e999", "eo"),
        ("x" * 10_000, "en"),
    ],
)
def test_the_first_wish_that_there_are_texts_for_counts(header: str, tag: str) -> None:
    assert languages.wished(header) == tag


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("pt-br", "pt-BR"),
        ("PT-BR, en;q=0.5", "pt-BR"),
        ("pt", "pt-BR"),
        ("pt-PT, pt;q=0.9, en;q=0.8", "pt-BR"),
        ("pt-BR-x-old", "pt-BR"),
        ("pt-PT, en;q=0.8", "en"),
        ("p", "en"),
        ("en; q=0.2, eo; Q=0.3", "eo"),
        ("eo ; q = 0, en", "en"),
        ("en;q=0.1;x=1, eo;x=1;q=0.2", "eo"),
    ],
)
def test_wishes_are_read_as_browsers_and_programs_write_them(
    header: str, tag: str, another_language: None, tmp_path: Path
) -> None:
    (tmp_path / "pt-BR.po").write_bytes((tmp_path / f"{PSEUDO}.po").read_bytes())
    languages.catalogs.cache_clear()

    assert languages.wished(header) == tag


@pytest.mark.usefixtures("another_language")
def test_a_translation_is_text_and_escaped_where_it_is_one() -> None:
    languages.speak(PSEUDO)

    assert languages.gettext("") == ""
    assert languages.gettext("Not in any catalog") == "Not in any catalog"
    assert languages.ngettext("%(n)s new call, show", "%(n)s new calls, show", 2) == (
        pseudo("%(n)s new calls, show") % {"n": 2}
    )


FORMS = {
    "en": (2, "(n != 1)"),
    "de": (2, "(n != 1)"),
    "fr": (2, "(n > 1)"),
    "ja": (1, "0"),
    "ru": (
        3,
        "(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2)",
    ),
    "sl": (4, "(n%100==1 ? 0 : n%100==2 ? 1 : n%100==3 || n%100==4 ? 2 : 3)"),
}
"""Of each language how many forms catalogs have, and which is whose."""


@pytest.mark.parametrize(
    ("tag", "forms"),
    [
        # Of 1, 1.5, 0.5, 2, 2.5 and 5 things.
        ("en", [0, 1, 1, 1, 1, 1]),
        ("de", [0, 1, 1, 1, 1, 1]),
        ("fr", [0, 0, 0, 1, 1, 1]),
        ("ja", [0, 0, 0, 0, 0, 0]),
        ("ru", [0, 1, 1, 1, 1, 2]),
        ("sl", [0, 2, 2, 1, 2, 3]),
    ],
)
def test_a_fraction_has_the_form_that_a_language_gives_it(
    tag: str, forms: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, rule = FORMS[tag]
    told = "".join(f'msgstr[{form}] "{form}"\n' for form in range(count))
    # English texts are looked up nowhere.
    path = tmp_path / ("none" if tag == "en" else f"{tag}.po")
    path.write_text(
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        f'"Plural-Forms: nplurals={count}; plural={rule};\\n"\n\n'
        f'msgid "day"\nmsgid_plural "days"\n{told}',
        "utf-8",
    )
    monkeypatch.setattr(languages, "FOLDER", tmp_path)
    found = languages.catalogs.__wrapped__()
    monkeypatch.setattr(languages, "catalogs", lambda: found)

    with languages.speaking(tag):
        said = [languages.open_plural("day", "days", n) for n in (1, 1.5, 0.5, 2, 2.5, 5)]

    words = ["day", "days"] if tag == "en" else "0123"
    assert said == [words[form] for form in forms]


def test_a_translation_with_other_places_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "eo.po").write_text(
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
        '#, python-format\nmsgid "Now %(n)s."\nmsgstr "Nun %(m)s."\n\n'
        'msgid "Save"\nmsgstr "Konservi"\n',
        "utf-8",
    )
    monkeypatch.setattr(languages, "FOLDER", tmp_path)

    found = languages.catalogs.__wrapped__()["eo"]

    assert (found.gettext("Save"), found.gettext("Now %(n)s.")) == ("Konservi", "Now %(n)s.")


@pytest.mark.usefixtures("another_language")
async def test_the_script_of_a_page_speaks_its_language(client: Client) -> None:
    page = (await client.get("/login", headers={"accept-language": "eo"})).text
    (address,) = re.findall(r'src="(/static/app\.eo\.[^"]+)"', page)

    script = (await client.get(address)).text

    assert script.startswith(assets.assets()["app.js"].content.decode())
    assert f'"Copied.": "{pseudo("Copied.")}"' in script
    assert "app.eo." not in (await client.get("/login")).text
