"""Templates: one environment, a page or one of its blocks."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_fragments import render_block

from ..core.languages import gettext, open_plural, spoken
from ..mail.markup import declared_language
from . import format as formats
from .assets import assets, script
from .menu import MENU

TEMPLATES = Path(__file__).parent / "templates"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(gettext, open_plural, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "count": formats.count,
        "money": formats.money,
        "percent": formats.percent,
        "size": formats.size,
        "seconds": formats.seconds,
        "words": formats.words,
        "merged": formats.merged,
        "translated": formats.translated,
        "language": declared_language,
    }
    environment.globals |= {
        "asset": assets(),
        "menu": MENU,
        "states": formats.STATES,
        "time": formats.time,
        "sentence": formats.sentence,
        "spoken": spoken,
        "script": script,
        # `trans` takes a translation for HTML, as the text around it is; what `_` answers is
        # text, and escaped like any other value.
        "_": gettext,
    }
    # Imports at the top of a template do not run when one block of it is rendered.
    environment.globals["ui"] = environment.get_template("_ui.html").module
    return environment


_ENVIRONMENT = _environment()


def render(template: str, variables: dict[str, Any], *, block: str | None = None) -> str:
    """Return a page, or one named block of it."""
    if block is None:
        return _ENVIRONMENT.get_template(template).render(variables)
    return render_block(_ENVIRONMENT, template, block, variables)


def has_block(template: str, block: str) -> bool:
    """Say whether *template* has a block of that name of its own."""
    return block in _ENVIRONMENT.get_template(template).blocks
