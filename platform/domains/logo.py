"""Whether an SVG is one that mailboxes show: SVG Tiny Portable/Secure, square, with a title.

Source: draft-svg-tiny-ps-abrotman; SVG Tiny 1.2 for the elements below it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

MAX_BYTES = 32_768
MAX_ELEMENTS = 5_000
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_ALLOWED = frozenset(
    (
        "svg title desc metadata g defs use path rect circle ellipse line polyline polygon text "
        "tspan textArea tbreak linearGradient radialGradient stop solidColor"
    ).split()
)
_SCRIPTS = frozenset("script handler listener foreignObject iframe embed object".split())
_ANIMATIONS = frozenset(
    "animate animateColor animateMotion animateTransform set mpath discard".split()
)
_RASTERS = frozenset("image video audio feImage".split())
# Nothing is given back (`++`, `?+`): a stranger's text must not be tried in every division.
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,2})?")
_OUTSIDE = re.compile(r"url\(\s*+['\"]?+\s*+(?!#)|(?:javascript|data|https?|file)\s*+:", re.I)


class BimiIssueCode(StrEnum):
    """What keeps mailboxes from showing a domain's logo."""

    DMARC_NOT_ENFORCED = "dmarc_not_enforced"
    LOGO_UNREACHABLE = "logo_unreachable"
    LOGO_WRONG_TYPE = "logo_wrong_type"
    LOGO_TOO_LARGE = "logo_too_large"
    LOGO_NOT_SVG = "logo_not_svg"
    LOGO_NOT_TINY_PS = "logo_not_tiny_ps"
    LOGO_WITHOUT_TITLE = "logo_without_title"
    LOGO_HAS_SCRIPT = "logo_has_script"
    LOGO_HAS_ANIMATION = "logo_has_animation"
    LOGO_HAS_RASTER = "logo_has_raster"
    LOGO_HAS_REFERENCE = "logo_has_reference"
    LOGO_NOT_SQUARE = "logo_not_square"
    VMC_UNREACHABLE = "vmc_unreachable"
    VMC_NOT_A_CERTIFICATE = "vmc_not_a_certificate"
    VMC_NOT_A_MARK = "vmc_not_a_mark"
    VMC_BROKEN_CHAIN = "vmc_broken_chain"
    VMC_EXPIRED = "vmc_expired"
    VMC_OTHER_NAME = "vmc_other_name"
    VMC_OTHER_LOGO = "vmc_other_logo"


@dataclass(frozen=True, slots=True)
class BimiIssue:
    """One thing that is wrong, and a sentence about it."""

    code: BimiIssueCode
    message: str


def issues_of_logo(octets: bytes) -> list[BimiIssue]:
    """Return what is wrong with a logo, each kind once; nothing for one that is good.

    A document type is refused before anything in it is expanded.
    """
    if len(octets) > MAX_BYTES:
        message = f"The logo is larger than {MAX_BYTES // 1024} KiB."
        return [BimiIssue(BimiIssueCode.LOGO_TOO_LARGE, message)]
    try:
        root = fromstring(octets, forbid_dtd=True)
    except DefusedXmlException:
        message = "The logo has a document type or entities; leave them out."
        return [BimiIssue(BimiIssueCode.LOGO_NOT_SVG, message)]
    except (ParseError, ValueError, LookupError):
        # An encoding that nobody knows is a LookupError.
        return [BimiIssue(BimiIssueCode.LOGO_NOT_SVG, "The logo is not well-formed XML.")]
    if root.tag != f"{_SVG}svg":
        message = "The logo's root is not an svg element of the SVG namespace."
        return [BimiIssue(BimiIssueCode.LOGO_NOT_SVG, message)]
    found: dict[BimiIssueCode, BimiIssue] = {}
    for issue in (*_of_root(root), *_of_elements(root)):
        found.setdefault(issue.code, issue)
    return list(found.values())


def _of_root(root: Element) -> Iterator[BimiIssue]:
    if (root.get("version"), root.get("baseProfile")) != ("1.2", "tiny-ps"):
        message = 'The svg element needs version="1.2" and baseProfile="tiny-ps".'
        yield BimiIssue(BimiIssueCode.LOGO_NOT_TINY_PS, message)
    if "x" in root.attrib or "y" in root.attrib:
        message = "The svg element must not have x or y."
        yield BimiIssue(BimiIssueCode.LOGO_NOT_TINY_PS, message)
    titles = [child for child in root if child.tag == f"{_SVG}title"]
    if len(titles) != 1 or not (titles[0].text or "").strip():
        message = "The svg element needs one title element with a text, such as the company's name."
        yield BimiIssue(BimiIssueCode.LOGO_WITHOUT_TITLE, message)
    if not _is_square(root):
        message = "The logo is not square: its viewBox needs a width and a height that are equal."
        yield BimiIssue(BimiIssueCode.LOGO_NOT_SQUARE, message)


def _is_square(root: Element) -> bool:
    parts = root.get("viewBox", "").replace(",", " ").split()
    if len(parts) != 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return False
    width, height = float(parts[2]), float(parts[3])
    shown = root.get("width"), root.get("height")
    is_square = width == height > 0 and isfinite(width)
    return is_square and (None in shown or shown[0] == shown[1])


def _of_elements(root: Element) -> Iterator[BimiIssue]:
    for count, element in enumerate(root.iter()):
        if count >= MAX_ELEMENTS:
            message = f"The logo has more than {MAX_ELEMENTS} elements."
            yield BimiIssue(BimiIssueCode.LOGO_TOO_LARGE, message)
            return
        # What is no element (a processing instruction) has no text as its tag.
        tag = element.tag if isinstance(element.tag, str) else ""
        yield from _of_tag(tag)
        for name, value in element.attrib.items():
            yield from _of_attribute(name, value)


def _of_tag(tag: str) -> Iterator[BimiIssue]:
    name = tag.rpartition("}")[2]
    if name in _SCRIPTS:
        message = f"The logo has a {name} element; scripts and foreign content are not allowed."
        yield BimiIssue(BimiIssueCode.LOGO_HAS_SCRIPT, message)
    elif name in _ANIMATIONS:
        message = f"The logo has a {name} element; animations are not allowed."
        yield BimiIssue(BimiIssueCode.LOGO_HAS_ANIMATION, message)
    elif name in _RASTERS:
        message = f"The logo has a {name} element; only vectors are allowed."
        yield BimiIssue(BimiIssueCode.LOGO_HAS_RASTER, message)
    elif name == "a":
        message = "The logo has a link; references are not allowed."
        yield BimiIssue(BimiIssueCode.LOGO_HAS_REFERENCE, message)
    elif name not in _ALLOWED or not tag.startswith(_SVG):
        message = f"SVG Tiny PS has no element {name[:40]}."
        yield BimiIssue(BimiIssueCode.LOGO_NOT_TINY_PS, message)


def _of_attribute(name: str, value: str) -> Iterator[BimiIssue]:
    local = name.rpartition("}")[2].lower()
    if local.startswith("on"):
        message = f"The logo has the attribute {local[:40]}; scripts are not allowed."
        yield BimiIssue(BimiIssueCode.LOGO_HAS_SCRIPT, message)
    elif local == "style":
        message = "SVG Tiny PS has no attribute style; write fill and the like by themselves."
        yield BimiIssue(BimiIssueCode.LOGO_NOT_TINY_PS, message)
    elif name == _XLINK_HREF or local in ("href", "src"):
        if not value.startswith("#"):
            message = "The logo refers to something outside itself."
            yield BimiIssue(BimiIssueCode.LOGO_HAS_REFERENCE, message)
    elif _OUTSIDE.search(value):
        message = "The logo refers to something outside itself."
        yield BimiIssue(BimiIssueCode.LOGO_HAS_REFERENCE, message)
