"""How a person wants pages to be."""

import strawberry

from ..accounts.rules import Theme
from ..core.languages import names
from .enums import describe_enum

describe_enum(
    Theme,
    "How pages look.",
    {"SYSTEM": "As the device says.", "LIGHT": "Light.", "DARK": "Dark."},
)


@strawberry.type(description="How the person wants pages to be.")
class Preferences:
    theme: Theme = strawberry.field(description="How they look.")
    shortcuts: bool = strawberry.field(description="Whether single keys do something.")
    language: str | None = strawberry.field(
        description="Tag of the language (RFC 5646); null is whichever the browser asks for."
    )


@strawberry.type(description="A language that pages can be in.")
class Language:
    tag: str = strawberry.field(description="By RFC 5646, such as `en` or `pt-BR`.")
    name: str = strawberry.field(description="What it calls itself.")


def known_languages() -> list[Language]:
    """Return every language that there are texts in."""
    return [Language(tag=tag, name=name) for tag, name in names().items()]
