"""`make docs`: writes the parts of the documents, and the texts to translate, from the code.

python -m docs                  brings them up to date
python -m docs release 0.2.0    joins the fragments of changelog.d into CHANGELOG.md
"""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from docs import texts
from graphql import GraphQLEnumType

from postlane.graphql import limits
from postlane.graphql.live import PER_CREDENTIAL
from postlane.graphql.nodes import LARGEST_LIST
from postlane.graphql.schema import CORE
from postlane.graphql.variables import LARGEST_ARRAY
from postlane.graphql.websocket import CHARACTERS, OPERATIONS
from postlane.rest_compat.dialects import POSTAGEAPP, POSTAL, POSTMTA
from postlane.rest_compat.postageapp import reference as postageapp
from postlane.rest_compat.postal import reference as postal
from postlane.rest_compat.postmta import reference as postmta
from postlane.server.cli import COMMANDS
from postlane.server.printing import settings_lines

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "platform" / "graphql" / "schema.graphql"
RELEASED = ROOT / "tests" / "released.graphql"
FRAGMENTS = ROOT / "changelog.d"
CHANGELOG = ROOT / "CHANGELOG.md"
KINDS = ("security", "removed", "deprecated", "changed", "added", "fixed")
"""In the order in which a reader who upgrades needs them."""


def command_lines() -> list[str]:
    """Return the table of commands."""
    lines = ["| Command | Does | For example |", "|---|---|---|"]
    for command in COMMANDS:
        example = "<br>".join(f"`{line}`" for line in command.examples)
        told = f"{command.summary} {command.detail}".strip()
        lines.append(f"| `{command.name}` | {told} | {example} |".replace("||", "\\|\\|"))
    return lines


def limit_lines() -> list[str]:
    """Return the table of what one GraphQL request may ask for."""
    rows = (
        ("Body of a request, signed in", f"{limits.BODY_BYTES:,} bytes"),
        ("Body of a request of a stranger", f"{limits.STRANGERS_BODY_BYTES:,} bytes"),
        ("Document", f"{limits.CHARACTERS:,} characters, {limits.TOKENS:,} tokens"),
        ("Fields and fragment spreads, as written", f"{limits.SELECTIONS:,}"),
        ("Fields with fields of their own under one name", f"{limits.REPEATS:,}"),
        ("Aliases", f"{limits.ALIASES:,}"),
        ("Fragments", f"{limits.FRAGMENTS:,}"),
        ("Levels of fields", f"{limits.DEPTH:,}"),
        ("Mutations in one document", f"{limits.ROOT_MUTATIONS:,}"),
        ("Items of one list in variables", f"{LARGEST_ARRAY:,}"),
        ("Ids of one `nodes(ids:)`", f"{LARGEST_LIST:,}"),
        ("Cost", f"{limits.COST:,}"),
        ("Cost of one event of a subscription", f"{limits.EVENT_COST:,}"),
        ("Operations of one WebSocket at a time", f"{OPERATIONS:,}"),
        ("Subscriptions of one credential at a time, in one process", f"{PER_CREDENTIAL:,}"),
        ("Characters of one message over WebSocket", f"{CHARACTERS:,}"),
        ("Time", f"{limits.EXECUTION_SECONDS:g} seconds"),
    )
    return ["| Limit | Value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def code_lines() -> list[str]:
    """Return the table of error codes."""
    type_ = CORE.type_map["ErrorCode"]
    assert isinstance(type_, GraphQLEnumType)
    rows = (f"| `{name}` | {value.description} |" for name, value in type_.values.items())
    return ["| Code | Means |", "|---|---|", *rows]


PARTS = {
    "settings": settings_lines,
    "commands": command_lines,
    "limits": limit_lines,
    "codes": code_lines,
}


def filled(text: str) -> str:
    """Return *text* with what stands between each part's marks made anew."""
    for name, lines in PARTS.items():
        begin, end = f"<!-- {name}: made by `make docs` -->\n", f"<!-- end of {name} -->"
        whole = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        made = begin + "\n".join(lines()) + "\n" + end
        text = whole.sub(lambda _, made=made: made, text)
    return text


def generated() -> dict[Path, str]:
    """Return every document that has made parts, and what it should say."""
    paths = [ROOT / "docs" / name for name in ("graphql.md", "operating.md")]
    found = {path: filled(path.read_text("utf-8")) for path in paths}
    compat = ROOT / "docs" / "compat"
    found[texts.FOLDER / "postlane.pot"] = texts.template()
    return found | {
        compat / "postal.md": postal.page(POSTAL.routes),
        compat / "postageapp.md": postageapp.page(POSTAGEAPP[0].routes),
        compat / "postmta.md": postmta.page(POSTMTA.routes),
    }


def release_notes(version: str, on: str) -> str:
    """Return the section of *version*, from the fragments."""
    lines = [f"## {version} ({on})", ""]
    for kind in KINDS:
        fragments = sorted(FRAGMENTS.glob(f"*.{kind}.md"))
        if fragments:
            lines += [f"### {kind.capitalize()}", ""]
            lines += ["- " + " ".join(path.read_text("utf-8").split()) for path in fragments]
            lines.append("")
    return "\n".join(lines)


def release(version: str) -> None:
    """Put the section of *version* first in the changelog, and delete its fragments.

    The schema as it is becomes the one that later ones are compared with.
    """
    section = release_notes(version, datetime.now(UTC).date().isoformat())
    head, mark, rest = CHANGELOG.read_text("utf-8").partition("<!-- releases -->\n")
    CHANGELOG.write_text(f"{head}{mark}\n{section}{rest}", "utf-8")
    for path in FRAGMENTS.glob("*.*.md"):
        path.unlink()
    RELEASED.write_text(SCHEMA.read_text("utf-8"), "utf-8")


def main(arguments: list[str]) -> int:
    """Do what *arguments* say and return the exit code."""
    match arguments:
        case []:
            for path, text in generated().items():
                path.write_text(text, "utf-8")
        case ["release", version] if re.fullmatch(r"\d+\.\d+\.\d+", version):
            release(version)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
