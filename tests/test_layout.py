"""What holds for every file: where things stand, what they may be called, what they may say."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PLATFORM = ROOT / "platform"
MODULES = sorted(path for path in PLATFORM.rglob("*.py") if "__pycache__" not in path.parts)
AREAS = (
    "accounts",
    "analytics",
    "audit",
    "billing",
    "blocklists",
    "bulk",
    "credits",
    "delivery",
    "domains",
    "events",
    "greylisting",
    "exports",
    "imports",
    "ingress",
    "messages",
    "notices",
    "protection",
    "registration",
    "removals",
    "requests",
    "scanning",
    "security",
    "suppressions",
    "templates",
    "tracking",
    "vmtas",
    "webhooks",
)
"""Folders that know something of the product; one that is not begun is absent, never empty."""
EDGES = ("graphql", "rest_compat", "dashboard", "smtp", "jobs", "server")
GROUND = ("core", "mail")
DOOR = {"execute", "following", "context", "errors"}
"""What edges may import of GraphQL: enough to run a document, and to read its refusal."""
JOINED = {"OrganizationFields", "Query", "Mutation"}
"""What each area adds to a type of the schema, which has its description where they are joined."""
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "service", "base"}
LARGE_TABLES = ("messages", "contents", "deliveries", "attempts", "events")
LONGEST_FILE = 600
LONGEST_FUNCTION = 60
"""In lines of code; our own limit is a screen, and this is where it certainly ends."""


def name_of(path: Path) -> str:
    """Return how *path* is called in a failure."""
    return path.relative_to(ROOT).as_posix()


def place_of(path: Path, node: Any) -> str:
    """Return where *node* stands."""
    return f"{name_of(path)}:{node.lineno}"


@cache
def text_of(path: Path) -> str:
    """Return what the file says."""
    return path.read_text("utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the parsed module."""
    return ast.parse(text_of(path), filename=str(path))


def lines_of_code(node: Any) -> int:
    """Return how long *node* is, a text of several lines (a docstring, a statement) as one."""
    texts = [part for part in ast.walk(node) if isinstance(part, ast.Constant | ast.JoinedStr)]
    held = {line for text in texts for line in range(text.lineno, text.end_lineno or 0)}
    length: int = node.end_lineno - node.lineno + 1
    return length - len(held)


def nodes(kind: type[ast.AST] | UnionType) -> Iterator[tuple[Path, Any]]:
    """Yield every node of one kind in the platform, with its file."""
    for path in MODULES:
        yield from ((path, node) for node in ast.walk(tree_of(path)) if isinstance(node, kind))


@cache
def tracked() -> tuple[Path, ...]:
    """Return the text files that belong to the project."""
    known = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(known, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(path for path in paths if path.is_file() and b"\0" not in path.read_bytes())


def test_platform_stays_a_namespace_package() -> None:
    """With an __init__.py, `import platform` would find us, not the standard library."""
    assert not (PLATFORM / "__init__.py").exists()


def test_the_link_gives_the_code_its_name() -> None:
    assert (ROOT / "src" / "postlane").readlink() == Path("../platform")


def test_every_folder_is_known() -> None:
    folders = {path.name for path in PLATFORM.iterdir() if path.name != "__pycache__"}

    assert folders - {*AREAS, *EDGES, *GROUND} == set()


def test_every_folder_begins_with_a_front_page() -> None:
    """Two sentences to start from; code in it would run whenever anything in it is imported."""
    faults = []
    for folder in {path.parent for path in MODULES}:
        page = folder / "__init__.py"
        if not (page.is_file() and ast.get_docstring(tree_of(page))):
            faults.append(f"{name_of(folder)} has no front page")
        elif folder.parent == PLATFORM and len(tree_of(page).body) > 1:
            faults.append(f"{name_of(page)} holds code")
    assert not faults, "\n" + "\n".join(faults)


def test_a_module_is_named_for_its_subject_and_says_what_it_is() -> None:
    nameless = [name_of(path) for path in MODULES if set(path.stem.split("_")) & EMPTY_NAMES]
    silent = [name_of(path) for path in MODULES if not ast.get_docstring(tree_of(path))]

    assert (nameless, silent) == ([], [])


def test_inside_the_platform_imports_are_relative() -> None:
    """So that the code reads true to the folders, and does not hang on the product's name."""
    faults = []
    for path, node in nodes(ast.Import | ast.ImportFrom):
        absolute = isinstance(node, ast.Import) or not node.level
        if absolute and re.search(r"\bpostlane\b", ast.unparse(node)):
            faults.append(place_of(path, node))
    assert not faults, "\n" + "\n".join(faults)


def test_files_and_functions_can_be_taken_in_at_once() -> None:
    long = [name_of(path) for path in MODULES if len(text_of(path).splitlines()) > LONGEST_FILE]
    for path, node in nodes(ast.FunctionDef | ast.AsyncFunctionDef):
        if lines_of_code(node) > LONGEST_FUNCTION:
            long.append(f"{place_of(path, node)} {node.name}")
    assert long == []


def test_what_is_public_has_a_docstring() -> None:
    faults = []
    for path in MODULES:
        for node in tree_of(path).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                described = any("description" in ast.unparse(d) for d in node.decorator_list)
                told = described or ast.get_docstring(node) or node.name in JOINED
                if not (told or node.name.startswith("_")):
                    faults.append(f"{place_of(path, node)} {node.name}")
    assert not faults, "\n" + "\n".join(faults)


def test_only_a_named_edge_swallows_everything() -> None:
    """Its line says that it is an edge; whoever raises the exception again needs no reason."""
    faults = []
    for path, node in nodes(ast.ExceptHandler):
        broad = node.type is None or "Exception" in re.findall(
            r"\b(?:Base)?(Exception)\b", ast.unparse(node.type)
        )
        again = isinstance(node.body[-1], ast.Raise)
        line = text_of(path).splitlines()[node.lineno - 1]
        if broad and not again and "# an edge" not in line:
            faults.append(place_of(path, node))
    assert not faults, "\n" + "\n".join(faults)


def test_there_is_one_clock() -> None:
    """What reads the time elsewhere cannot be frozen."""
    faults = []
    for path, node in nodes(ast.Call):
        called = ast.unparse(node.func)
        read = re.search(r"\b(datetime|date)\.(now|utcnow|today)$", called)
        if read and path != PLATFORM / "core" / "clock.py":
            faults.append(place_of(path, node))
    assert not faults, "\n" + "\n".join(faults)


def test_nothing_counts_or_skips_the_rows_of_a_large_table() -> None:
    """Both read every row they pass: pages go by key, and a count is an estimate."""
    names = "|".join(LARGE_TABLES)
    faults = []
    for path, node in nodes(ast.Constant):
        text = node.value if isinstance(node.value, str) else ""
        skips = re.search(r"\bOFFSET\s+(\{|\$|%|\d)", text)
        counts = re.search(rf"count\(\*\)\s+FROM\s+({names})\s*$", text, re.IGNORECASE)
        if skips or counts:
            faults.append(place_of(path, node))
    assert not faults, "\n" + "\n".join(faults)


def test_an_area_keeps_its_tables_to_itself() -> None:
    """Others read through its queries and write through its operations.

    A table may name another's as its foreign key, and GraphQL turns rows into types.
    """
    faults = []
    for path, node in nodes(ast.ImportFrom):
        folder, *_, file = path.relative_to(PLATFORM).parts
        if folder in AREAS and file != "tables.py" and node.level > 1:
            whole = f"{node.module}." + "|".join(alias.name for alias in node.names)
            found = re.match(r"([a-z_]+)\.(tables\b|(\w+\|)*tables\b)", whole)
            if found and found[1] in AREAS and found[1] != folder:
                faults.append(f"{place_of(path, node)}: {ast.unparse(node)}")
    assert not faults, "\n" + "\n".join(faults)


def test_an_edge_takes_from_graphql_only_the_way_to_run_a_document() -> None:
    faults = []
    for path, node in nodes(ast.ImportFrom):
        edge = path.relative_to(PLATFORM).parts[0] in ("rest_compat", "dashboard")
        found = re.match(r"graphql\b\.?(\w*)", node.module or "") if node.level > 1 else None
        if edge and found and found[1] not in DOOR:
            faults.append(f"{place_of(path, node)}: {ast.unparse(node)}")
    assert not faults, "\n" + "\n".join(faults)


def test_every_decision_has_a_number_of_its_own_and_four_parts() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [path.name[:4] for path in decisions]
    faults = []
    for path in decisions:
        text = text_of(path)
        parts = ("Context", "Decision", "Consequences", "Alternatives")
        faults += [f"{path.name}: {part}" for part in parts if f"\n## {part}\n" not in text]
        if not re.match(rf"# {int(path.name[:4])}\. .+\n\n\w+, \d{{4}}-\d\d-\d\d\n", text):
            faults.append(f"{path.name}: begins with its number, title, state and date")
        if len(text.splitlines()) > 70:
            faults.append(f"{path.name}: is longer than a page")

    assert not faults, "\n" + "\n".join(faults)
    assert len(set(numbers)) == len(numbers)


def test_every_changelog_fragment_is_named_for_its_kind() -> None:
    kinds = "added|changed|deprecated|fixed|removed|security"
    fragments = [path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]

    assert [p.name for p in fragments if not re.fullmatch(rf"[\w-]+\.({kinds})\.md", p.name)] == []
    assert [p.name for p in fragments if not text_of(p).strip().endswith(".")] == []


def test_no_file_names_a_machine_or_a_registry() -> None:
    """Paths of somebody's machine and download addresses are wrong everywhere else."""
    registries = "|".join(
        ("pypi" + r"\.org", "python" + "hosted", "npm" + "js", "deb" + r"ian\.org")
    )
    folders = "|".join(("/ro" + "ot/", "/ho" + "me/[a-z]", "/wo" + "rk/", "/Us" + "ers/"))
    wrong = re.compile(rf"{registries}|(?<![\w.~}}-])({folders})")
    faults = []
    for path in tracked():
        if "corpus" in path.parts:  # what strangers send, which may be no text at all
            continue
        for number, line in enumerate(text_of(path).splitlines(), start=1):
            if wrong.search(line):
                faults.append(f"{name_of(path)}:{number}: {line.strip()[:80]}")
    assert not faults, "\n" + "\n".join(faults)


def test_nothing_is_left_for_later() -> None:
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"))

    assert [name_of(p) for p in MODULES if re.search(rf"\b({marks})\b", text_of(p))] == []


def test_the_lock_holds_names_and_hashes_only() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = text_of(path)
        pinned = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==\S+(?: ;[^\\]*)? \\$", text, re.MULTILINE)
        assert "://" not in text
        assert len(pinned) == len(re.findall(r"^\w", text, re.MULTILINE))
