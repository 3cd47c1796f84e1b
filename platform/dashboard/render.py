"""Templates: one environment, a page or one of its blocks."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_fragments import render_block

from . import format as formats
from .assets import assets

TEMPLATES = Path(__file__).parent / "templates"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "count": formats.count,
        "money": formats.money,
        "size": formats.size,
        "seconds": formats.seconds,
        "words": formats.words,
    }
    environment.globals |= {
        "asset": assets(),
        "states": formats.STATES,
        "time": formats.time,
        "sentence": formats.sentence,
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
