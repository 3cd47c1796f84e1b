"""What a template may be, which of its texts counts, and what values it is filled with."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..core.errors import Detail, DetailCode, InvalidInput
from ..mail.address import InvalidAddress, parse_mailbox
from ..mail.templating import Syntax

MAX_TEMPLATES = 2_000
MAX_VERSIONS = 1_000
MAX_SOURCE_BYTES = 512 * 2**10
MAX_SUBJECT_SOURCE = 2_000
MAX_LOCALES = 50
MAX_VARIABLES = 100
MAX_LAYERS = 5
"""A template and the layouts around it."""
MAX_VALUES_BYTES = 64 * 2**10
"""Of one recipient's values, as JSON."""
EVERYBODY = ""
"""The locale of those for whom there is no text in theirs."""

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
RESERVED = frozenset({"content", "locale"})
_BAD = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class TemplateText:
    """What a version says in one language."""

    locale: str | None = None
    """None is for everybody whose language has no text."""
    subject: str | None = None
    html: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that texts leave open."""

    name: str
    default: Any = None
    is_required: bool = False
    """A message has to give it."""


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a version is to be; nothing is checked yet."""

    texts: Sequence[TemplateText]
    variables: Sequence[Variable] = ()
    layout: str | None = None
    """Slug or UUID of the template that it is put into."""
    sender: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A version as it is stored."""

    texts: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    variables: Sequence[Mapping[str, Any]] = ()
    sender: str | None = None


def check_slug(slug: str) -> str:
    """Return *slug*.

    Raises:
        InvalidInput: it is none.
    """
    if not _SLUG.match(slug):
        raise InvalidInput.of(
            "slug",
            DetailCode.INVALID_FORMAT,
            "A slug is 1 to 63 characters of A-Z, a-z, 0-9, '_' and '-', and begins with a "
            "letter or a digit.",
        )
    return slug


def check_version(new: NewVersion) -> Checked:
    """Return *new* as it is stored; its sources are not read here.

    Raises:
        InvalidInput: every field that breaks a rule.
    """
    found: list[Detail] = []
    texts = _texts(new.texts, found)
    variables = _variables(new.variables, found)
    if new.sender is not None:
        try:
            parse_mailbox(new.sender)
        except InvalidAddress as error:
            found.append(Detail("version.sender", DetailCode.INVALID_EMAIL, str(error)))
    if found:
        raise InvalidInput.all(found)
    return Checked(texts, variables, new.sender)


def _texts(
    texts: Sequence[TemplateText], found: list[Detail]
) -> dict[str, Mapping[str, str | None]]:
    if not texts:
        found.append(Detail("version.texts", DetailCode.REQUIRED, "Write at least one text."))
    if len(texts) > MAX_LOCALES:
        found.append(Detail("version.texts", DetailCode.TOO_MANY, "At most 50 languages."))
        return {}
    stored: dict[str, Mapping[str, str | None]] = {}
    for nth, each in enumerate(texts):
        at = f"version.texts[{nth}]"
        locale = EVERYBODY if each.locale is None else each.locale
        if each.locale is not None and not _LOCALE.match(each.locale):
            message = "Write a language tag such as `de` or `pt-BR`."
            found.append(Detail(f"{at}.locale", DetailCode.INVALID_FORMAT, message))
        key = locale.lower()
        if key in stored:
            message = "There is a text for this language already."
            found.append(Detail(f"{at}.locale", DetailCode.DUPLICATE, message))
        if not each.html and not each.text:
            message = "A text has html, text or both."
            found.append(Detail(f"{at}.html", DetailCode.REQUIRED, message))
        for name, source in (("subject", each.subject), ("html", each.html), ("text", each.text)):
            _check_source(f"{at}.{name}", source, found)
        stored[key] = {
            "locale": each.locale,
            "subject": each.subject or None,
            "html": each.html or None,
            "text": each.text or None,
        }
    return stored


def _check_source(at: str, source: str | None, found: list[Detail]) -> None:
    if source is None:
        return
    if _BAD.search(source):
        message = "It holds a character that is none."
        found.append(Detail(at, DetailCode.INVALID_FORMAT, message))
    elif at.endswith("subject") and len(source) > MAX_SUBJECT_SOURCE:
        found.append(Detail(at, DetailCode.TOO_LONG, "At most 2,000 characters."))
    elif len(source.encode()) > MAX_SOURCE_BYTES:
        found.append(Detail(at, DetailCode.TOO_LARGE, "At most 512 KiB."))


def _variables(variables: Sequence[Variable], found: list[Detail]) -> list[dict[str, Any]]:
    if len(variables) > MAX_VARIABLES:
        found.append(Detail("version.variables", DetailCode.TOO_MANY, "At most 100 variables."))
        return []
    names: set[str] = set()
    for nth, each in enumerate(variables):
        at = f"version.variables[{nth}]"
        if not _NAME.match(each.name) or each.name in RESERVED:
            message = "A name is letters, digits and '_', and not `content` or `locale`."
            found.append(Detail(f"{at}.name", DetailCode.INVALID_FORMAT, message))
        elif each.name in names:
            message = "There is a variable with this name already."
            found.append(Detail(f"{at}.name", DetailCode.DUPLICATE, message))
        kept_size(each.default, f"{at}.default")
        if each.is_required and each.default is not None:
            message = "What has to be given has no default."
            found.append(Detail(f"{at}.default", DetailCode.MUTUALLY_EXCLUSIVE, message))
        names.add(each.name)
    return [
        {"name": each.name, "default": each.default, "required": each.is_required}
        for each in variables
    ]


def choose_text(
    texts: Mapping[str, Mapping[str, str | None]], locale: str | None
) -> Mapping[str, str | None]:
    """Return the text for *locale*: in it, in its language, for everybody, or else the first."""
    wanted = (locale or "").lower()
    while wanted:
        if wanted in texts:
            return texts[wanted]
        wanted = wanted.rpartition("-")[0]
    return texts.get(EVERYBODY) or next(iter(texts.values()))


def defaults_of(variables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of what nobody gives."""
    return {each["name"]: each["default"] for each in variables if each["default"] is not None}


def missing(
    variables: Sequence[Mapping[str, Any]], values: Mapping[str, Any], syntax: Syntax
) -> list[str]:
    """Return the names that have to be given and are not in *values*."""
    folds = syntax is Syntax.BRACES
    given = {name.lower() for name in values} if folds else set(values)
    return [
        each["name"]
        for each in variables
        if each["required"] and (each["name"].lower() if folds else each["name"]) not in given
    ]


def check_values(values: object, field: str) -> Mapping[str, Any]:
    """Return *values*, an object of what variables stand for.

    Raises:
        InvalidInput: it is none, or too large.
    """
    if not isinstance(values, dict):
        raise InvalidInput.of(field, DetailCode.INVALID_TYPE, "Write an object.")
    size = kept_size(values, field)
    if size > MAX_VALUES_BYTES:
        message = "The values of one recipient have at most 64 KiB."
        raise InvalidInput.of(field, DetailCode.TOO_LARGE, message)
    return values


def kept_size(value: object, field: str) -> int:
    """Return the bytes that a value takes where values are kept.

    Raises:
        InvalidInput: it cannot be kept.
    """
    try:
        return len(msgspec.msgpack.encode(value))
    except (OverflowError, RecursionError, UnicodeEncodeError, TypeError) as error:
        message = "A number has at most 64 bits, and values are nested a few levels deep."
        raise InvalidInput.of(field, DetailCode.INVALID_FORMAT, message) from error
