"""Dumps are read without a server: values as they are, little memory, clear refusals."""

import gzip
import tracemalloc
from pathlib import Path

import pytest

from postlane.imports.dumps import LONGEST_LINE, Found, read_dump
from postlane.imports.errors import UnreadableSource

from .installation import FOOT, HEAD, Installation

TABLE = "CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  `text` text,\n  PRIMARY KEY (`id`)\n);\n"


def written(folder: Path, text: str | bytes, name: str = "dump.sql") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(path: Path, *tables: str) -> list[Found]:
    return list(read_dump(path, tables or ("t",)))


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("NULL", None),
        ("-12", "-12"),
        ("1.500000", "1.500000"),
        ("'it\\'s \\\"so\\\" \\\\ ok'", 'it\'s "so" \\ ok'),
        ("'it''s'", "it's"),
        ("'a\\nb\\tc\\rd'", "a\nb\tc\rd"),
        ("'); DROP TABLE t; -- '", "); DROP TABLE t; -- "),
        ("'(1,2),(3,4);'", "(1,2),(3,4);"),
        ("'Grüße 📬'", "Grüße 📬"),
        ("_binary 'ab'", "ab"),
        ("0x4772c3bcc39f65", "Grüße"),
        ("''", ""),
    ],
)
def test_a_value_is_what_was_stored(tmp_path: Path, literal: str, value: str | None) -> None:
    text = f"{TABLE}INSERT INTO `t` VALUES (1,{literal}),(2,'next');\n"

    found = rows(written(tmp_path, text))

    assert [each.row for each in found] == [
        {"id": "1", "text": value},
        {"id": "2", "text": "next"},
    ]


@pytest.mark.parametrize(
    "inserts",
    [
        "INSERT INTO `t` VALUES (1,'a'),(2,'b');",
        "INSERT INTO `t` VALUES\n(1,'a'),\n(2,'b');",
        "INSERT INTO `t` VALUES (1,'a');\nINSERT INTO `t` VALUES (2,'b');",
        "INSERT INTO `t` (`text`, `id`) VALUES ('a',1),('b',2);",
        "INSERT IGNORE INTO `t` VALUES (1,'a'),(2,'b');",
        "REPLACE INTO `t` VALUES (1,'a'),(2,'b');",
        "/*!40000 ALTER TABLE `t` DISABLE KEYS */;\nINSERT INTO `t` VALUES (1,'a'),(2,'b');",
    ],
    ids=["one line", "a line each", "statements", "names", "ignore", "replace", "keys"],
)
def test_every_way_to_dump_is_read(tmp_path: Path, inserts: str) -> None:
    found = rows(written(tmp_path, f"{HEAD}{TABLE}{inserts}\n{FOOT}"))

    assert [(each.row["id"], each.row["text"]) for each in found] == [("1", "a"), ("2", "b")]


def test_a_dump_without_definitions_names_its_columns(tmp_path: Path) -> None:
    named = written(tmp_path, "INSERT INTO `t` (`id`, `text`) VALUES (1,'a');\n")

    assert rows(named) == [Found(None, "t", {"id": "1", "text": "a"})]
    with pytest.raises(UnreadableSource, match="line 1: it does not say which columns of t"):
        rows(written(tmp_path, "INSERT INTO `t` VALUES (1,'a');\n"))


def test_each_row_says_of_which_database_it_is(tmp_path: Path) -> None:
    installation = Installation()
    server = installation.server(installation.organization("acme", 1))
    installation.suppress(server, "gone@dest.example")

    found = rows(written(tmp_path, installation.dump()), "servers", "suppressions")

    assert [(each.database, each.table) for each in found] == [
        ("postal", "servers"),
        (f"postal-server-{server}", "suppressions"),
    ]


def test_a_dump_of_one_database_says_so_in_its_head(tmp_path: Path) -> None:
    text = f"{HEAD}{TABLE}INSERT INTO `t` VALUES (1,'a');\n{FOOT}"

    (found,) = rows(written(tmp_path, text))

    assert found.database == "postal"


def test_a_compressed_dump_is_read(tmp_path: Path) -> None:
    packed = gzip.compress(f"{TABLE}INSERT INTO `t` VALUES (1,'a');\n".encode())

    assert len(rows(written(tmp_path, packed, "dump.sql.gz"))) == 1
    for broken in (packed[:-12], packed[:20] + b"\xff" * 9 + packed[29:], packed[:5]):
        with pytest.raises(UnreadableSource, match="cannot be read"):
            rows(written(tmp_path, broken, "broken.sql.gz"))


def test_what_nobody_asked_for_takes_no_memory(tmp_path: Path) -> None:
    mail = "x" * (9 * 1024 * 1024)
    tables = "CREATE TABLE `raw-2026-11-28` (\n  `id` int,\n  `data` longblob\n);\n" + TABLE
    raw = f"INSERT INTO `raw-2026-11-28` VALUES (1,'{mail}'),(2,'SET NAMES latin1');\n"
    path = written(tmp_path, f"{HEAD}{tables}{raw * 6}INSERT INTO `t` VALUES (1,'a');\n{FOOT}")

    tracemalloc.start()
    found = rows(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(found) == 1
    assert path.stat().st_size > 50 * 1024 * 1024
    assert peak < 4 * LONGEST_LINE


def test_rows_are_handed_over_as_they_are_read(tmp_path: Path) -> None:
    line = "INSERT INTO `t` VALUES " + ",".join(f"({n},'text')" for n in range(1_000)) + ";\n"
    path = written(tmp_path, f"{HEAD}{TABLE}{line * 30}{FOOT}")

    tracemalloc.start()
    count = sum(1 for _ in read_dump(path, ["t"]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 30_000
    # All rows at once would take more than twice as much.
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no dump"),
        ("Dear Sir or Madam\n", "is no dump"),
        (f"{HEAD}{TABLE}", "is cut short"),
        (f"{TABLE}INSERT INTO `t` VALUES (1,'a'),\n", "is cut short"),
        (f"{HEAD}CREATE TABLE `t` (\n  `id` int,\n", "is cut short"),
        (f"{TABLE}INSERT INTO `t` VALUES (1,'a\n", "line 6: it has values of t that cannot be"),
        (f"{TABLE}INSERT INTO `t` VALUES (1);\n", "it has 1 values for 2 columns of t"),
        (f"{TABLE}INSERT INTO `t` VALUES (1,NOW());\n", "'NOW' where a value should be"),
        (f"{TABLE}INSERT INTO `t` VALUES (1,'a'\n", "it ends within a row"),
        ("/*!40101 SET NAMES latin1 */;\n", "dump with --default-character-set=utf8mb4"),
    ],
    ids=["empty", "a letter", "no end", "no row", "no table", "quote", "few", "call", "row", "set"],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UnreadableSource, match=said):
        rows(written(tmp_path, text))


def test_a_line_that_is_too_long_is_refused_where_it_is_wanted(tmp_path: Path) -> None:
    text = f"{TABLE}INSERT INTO `t` VALUES (1,'{'x' * LONGEST_LINE}');\n"

    with pytest.raises(UnreadableSource, match="is longer than 4 MiB; dump with"):
        rows(written(tmp_path, text))


def test_octets_that_are_no_text_are_refused(tmp_path: Path) -> None:
    text = TABLE.encode() + b"INSERT INTO `t` VALUES (1,'caf\xe9');\n"

    with pytest.raises(UnreadableSource, match="cannot be read"):
        rows(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="cannot be read"):
        rows(tmp_path / "absent.sql")
    with pytest.raises(UnreadableSource, match="cannot be read"):
        rows(tmp_path)
