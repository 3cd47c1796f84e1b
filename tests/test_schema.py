"""The schema as a whole: committed, described, and fitted by every document of the code."""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    validate,
)

import postlane
from postlane.graphql import execute, fitting, nodes
from postlane.graphql.schema import CORE, printed

SNAPSHOT = Path(__file__).parents[1] / "platform" / "graphql" / "schema.graphql"


def own_types() -> list[GraphQLNamedType]:
    return [t for name, t in sorted(CORE.type_map.items()) if not name.startswith("__")]


def described() -> Iterator[tuple[str, str | None]]:
    """Yield everything in the schema that can have a description, with its description."""
    for found in own_types():
        yield found.name, found.description
        if isinstance(found, GraphQLEnumType):
            for name, value in found.values.items():
                yield f"{found.name}.{name}", value.description
        if isinstance(found, GraphQLInputObjectType):
            for name, input_field in found.fields.items():
                yield f"{found.name}.{name}", input_field.description
        if isinstance(found, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in found.fields.items():
                yield f"{found.name}.{name}", field.description
                for argument, declared in field.args.items():
                    yield f"{found.name}.{name}({argument}:)", declared.description


def test_the_committed_schema_is_the_schema() -> None:
    assert SNAPSHOT.read_text("utf-8") == printed(), "run `make schema` and read the difference"


def test_everything_is_described() -> None:
    assert [name for name, text in described() if not (text or "").strip()] == []


def test_descriptions_are_sentences() -> None:
    """They begin with a capital, a digit or a quoted word, and end with a full stop."""
    texts = [(name, text.strip()) for name, text in described() if text]

    builtin = {"Boolean", "Float", "ID", "Int", "String"}
    wrong = [
        name
        for name, text in texts
        if name not in builtin and (text[0].islower() or text[-1] not in ".)")
    ]
    assert wrong == []


def test_every_mutation_takes_one_input_and_answers_a_payload() -> None:
    mutation = CORE.mutation_type
    assert mutation is not None
    wrong = []
    for name, field in mutation.fields.items():
        capital = name[0].upper() + name[1:]
        arguments = {a: str(declared.type) for a, declared in field.args.items()}
        if arguments not in ({"input": f"{capital}Input!"}, {}):
            wrong.append(f"{name}{arguments}")
        if not str(field.type).endswith("Payload!"):
            wrong.append(f"{name} answers {field.type}")
    assert wrong == []


def test_every_node_type_can_be_found_again() -> None:
    node = CORE.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)

    types = {t.name for t in CORE.get_possible_types(node)}

    assert types == nodes.registered()


def test_every_document_of_the_code_fits_the_schema() -> None:
    for module in pkgutil.walk_packages(postlane.__path__, "postlane."):
        importlib.import_module(module.name)

    faults = {
        document.text: [error.message for error in validate(CORE, document.node)]
        for document in execute.DOCUMENTS
    }

    assert {text: errors for text, errors in faults.items() if errors} == {}


@pytest.fixture
def nothing_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that starts where no other has, and may keep bytecode."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    known = list(execute.DOCUMENTS)
    yield
    execute.DOCUMENTS[:] = known


@pytest.mark.parametrize("text", ["{ noSuchField }", "{ noSuchField"], ids=["misfit", "cut off"])
def test_a_document_that_does_not_fit_stops_every_start(nothing_noted: None, text: str) -> None:
    execute.check_documents()
    execute.Document(text)

    for _ in range(2):
        with pytest.raises(execute.DocumentsBroken, match=re.escape(text)):
            execute.check_documents()


def test_what_fits_is_not_looked_at_by_the_next_process(nothing_noted: None) -> None:
    execute.Document("{ viewer { __typename } }")
    execute.check_documents()
    same = execute.Document("{ viewer { __typename } }")
    other = execute.Document("{ __typename }")

    execute.check_documents()

    assert (same.fits, other.fits) == (True, True)
    assert ("node" in vars(same), "node" in vars(other)) == (False, True)


def test_what_fitted_is_looked_at_again_after_a_change_of_the_code(
    nothing_noted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "schema.py").write_text("one")
    monkeypatch.setattr(fitting, "PACKAGE", code)
    fitting.note(["a", "b"])
    before = fitting.noted()

    (code / "schema.py").write_text("other")

    assert (before, fitting.noted()) == ({"a", "b"}, set())


def test_nothing_is_noted_where_python_keeps_no_bytecode(
    nothing_noted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    fitting.note(["a"])

    assert (fitting.noted(), list(tmp_path.iterdir())) == (set(), [])
