"""Refusals of templates.

* InvalidInput
  - SourceInvalid   a source cannot be read, or cannot be rendered
* Conflict
  - TemplateExists  the project has one with the slug
  - TemplateInUse   others are put into it
* LimitReached
  - TooManyTemplates, TooManyVersions
"""

from ..core.errors import Conflict, Detail, DetailCode, ErrorCode, InvalidInput, LimitReached


class SourceInvalid(InvalidInput):
    """A source cannot be read, or what it makes of the values has no end in sight."""

    def __init__(self, field: str, reason: str) -> None:
        message = f"The template cannot be rendered: {reason}"
        super().__init__(message, details=(Detail(field, DetailCode.INVALID_FORMAT, reason),))


class TemplateExists(Conflict):
    """The project, or the organization, has a template with the slug."""

    code = ErrorCode.TEMPLATE_EXISTS
    message = "There is a template with this slug already."


class TemplateInUse(Conflict):
    """Other templates are put into it."""

    code = ErrorCode.TEMPLATE_IN_USE

    def __init__(self, slug: str) -> None:
        super().__init__(f"It is the layout of '{slug}'.")


class TooManyTemplates(LimitReached):
    """The organization has as many templates as it may have."""

    code = ErrorCode.TEMPLATE_LIMIT_REACHED
    message = "An organization has at most 2,000 templates."


class TooManyVersions(LimitReached):
    """The template has as many versions as it may have."""

    code = ErrorCode.TEMPLATE_LIMIT_REACHED
    message = "A template has at most 1,000 versions."
