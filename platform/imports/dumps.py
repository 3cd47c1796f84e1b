"""Rows out of files that `mysqldump` or `mariadb-dump` wrote, without a server to load them.

A file is read from its beginning to its end, line by line. What a line holds that nobody asked
for is passed over unread, so that a dump of any size takes little memory; values are split up
by the lexer of sqlglot.
"""

import gzip
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias, cast

from sqlglot import Token, TokenError, TokenType
from sqlglot.dialects import MySQL

from .errors import UnreadableSource

Row: TypeAlias = Mapping[str, str | None]
"""A row's columns as texts, as MySQL writes them; None is NULL."""

LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of a line that is read; `mysqldump` writes lines of about a mebibyte."""

_USE = re.compile(rb"USE `((?:[^`]|``)+)`")
_NAMED = re.compile(rb"-- (?:Current Database: `(.+)`|Host: .*\bDatabase: (\S+))\s*$")
_CREATE = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?`((?:[^`]|``)+)` \(")
_COLUMN = re.compile(rb"\s+`((?:[^`]|``)+)` ")
_INSERT = re.compile(
    rb"(?:INSERT|REPLACE)(?: DELAYED| IGNORE)* INTO (?:`(?:[^`]|``)+`\.)?`((?:[^`]|``)+)` "
    rb"(?:\(([^()]*)\) )?VALUES"
)
_CHARSET = re.compile(rb"/\*!\d+ SET NAMES (\w+)")
_READABLE = frozenset({b"utf8", b"utf8mb3", b"utf8mb4", b"binary"})


@dataclass(frozen=True, slots=True)
class Found:
    """A row, and where it stands."""

    database: str | None
    """None where the file does not say."""
    table: str
    row: Row


def read_dump(path: Path, tables: Collection[str]) -> Iterator[Found]:
    """Yield the rows of *tables*, of whatever database, in the order of the file.

    Raises:
        UnreadableSource: it is no such file, is cut short or damaged, or a line is too long.
    """
    try:
        with _opened(path) as file:
            yield from _Reader(path, frozenset(name.encode() for name in tables)).read(file)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableSource(f"{path} cannot be read: {error}.") from error


def _opened(path: Path) -> IO[bytes]:
    file = path.open("rb")
    if file.read(2) == b"\x1f\x8b":
        file.close()
        return cast("IO[bytes]", gzip.open(path, "rb"))
    file.seek(0)
    return file


class _Reader:
    """One walk through a file."""

    def __init__(self, path: Path, tables: frozenset[bytes]) -> None:
        self._path = path
        self._tables = tables
        self._database: str | None = None
        self._columns: dict[str, list[str]] = {}
        self._line = 0
        self._creating: list[str] | None = None
        """Columns of the wanted table whose definition is being read."""
        self._inserting: tuple[str, list[str]] | None = None
        """The wanted table whose rows go on in the next line, and its columns."""
        self._is_dump, self._is_whole = False, True

    def read(self, file: IO[bytes]) -> Iterator[Found]:
        for line in self._lines(file):
            if self._inserting is not None:
                yield from self._rows(line)
            elif self._creating is not None:
                self._column(line)
            elif match := _CREATE.match(line):
                self._is_dump = True
                if match[1] in self._tables:
                    self._creating = self._columns[_name(match[1])] = []
            elif match := _INSERT.match(line):
                self._is_dump = True
                if match[1] in self._tables:
                    self._inserting = self._chosen(match)
                    yield from self._rows(line[match.end() :])
            else:
                self._note(line)
        if not self._is_dump:
            raise UnreadableSource(f"{self._path} is no dump of mysqldump or mariadb-dump.")
        if self._inserting is not None or self._creating is not None or not self._is_whole:
            raise UnreadableSource(
                f"{self._path} is cut short: it does not end with `-- Dump completed`."
            )

    def _lines(self, file: IO[bytes]) -> Iterator[bytes]:
        """Yield lines; of one that is too long and that nobody asked for, only its beginning."""
        while line := file.readline(LONGEST_LINE):
            self._line += 1
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                self._refuse_if_wanted(line)
                while (more := file.readline(LONGEST_LINE)) and not more.endswith(b"\n"):
                    pass
                line = line[:1024]
            yield line

    def _refuse_if_wanted(self, line: bytes) -> None:
        match = _INSERT.match(line)
        if self._inserting is not None or (match is not None and match[1] in self._tables):
            raise self._refusal(
                "is longer than 4 MiB; dump with --net-buffer-length=1M or --skip-extended-insert"
            )

    def _column(self, line: bytes) -> None:
        assert self._creating is not None
        if match := _COLUMN.match(line):
            self._creating.append(_name(match[1]))
        elif line.startswith(b")"):
            self._creating = None

    def _note(self, line: bytes) -> None:
        if line.startswith((b"-- MySQL dump", b"-- MariaDB dump")):
            self._is_dump, self._is_whole = True, False
        elif line.startswith(b"-- Dump completed"):
            self._is_whole = True
        elif match := _USE.match(line):
            self._database = _name(match[1])
        elif match := _NAMED.match(line):
            name = (match[1] or match[2]).decode("utf-8", "replace")
            self._database = name or self._database
        elif (match := _CHARSET.match(line)) and match[1] not in _READABLE:
            named = match[1].decode("ascii", "replace")
            raise self._refusal(
                f"says that the file is in {named}; dump with --default-character-set=utf8mb4"
            )

    def _chosen(self, match: re.Match[bytes]) -> tuple[str, list[str]]:
        table = _name(match[1])
        if match[2] is not None:
            return table, [_name(each.strip()[1:-1]) for each in match[2].split(b",")]
        if not self._columns.get(table):
            raise self._refusal(
                f"does not say which columns of {table} it has; dump without --no-create-info, "
                "or with --complete-insert"
            )
        return table, self._columns[table]

    def _rows(self, text: bytes) -> Iterator[Found]:
        assert self._inserting is not None
        table, columns = self._inserting
        try:
            tokens = MySQL().tokenize(text.decode("utf-8"))
        except (TokenError, UnicodeDecodeError) as error:
            raise self._refusal(f"has values of {table} that cannot be read") from error
        for values in self._tuples(tokens):
            if len(values) != len(columns):
                raise self._refusal(
                    f"has {len(values)} values for {len(columns)} columns of {table}"
                )
            yield Found(self._database, table, dict(zip(columns, values, strict=True)))
        if tokens and tokens[-1].token_type is TokenType.SEMICOLON:
            self._inserting = None

    def _tuples(self, tokens: list[Token]) -> Iterator[list[str | None]]:
        values: list[str | None] | None = None
        sign = ""
        for token in tokens:
            kind = token.token_type
            if kind is TokenType.L_PAREN and values is None:
                values = []
            elif kind is TokenType.R_PAREN and values is not None:
                yield values
                values = None
            elif kind is TokenType.DASH:
                sign = "-"
            elif kind in _VALUES and values is not None:
                values.append(_VALUES[kind](sign, token.text))
                sign = ""
            elif kind not in _BETWEEN:
                raise self._refusal(f"has {token.text[:20]!r} where a value should be")
        if values is not None:
            raise self._refusal("ends within a row")

    def _refusal(self, what: str) -> UnreadableSource:
        return UnreadableSource(f"{self._path}, line {self._line}: it {what}.")


def _name(quoted: bytes) -> str:
    return quoted.decode("utf-8", "replace").replace("``", "`")


def _octets(sign: str, text: str) -> str:
    return bytes.fromhex(text if len(text) % 2 == 0 else f"0{text}").decode("utf-8", "replace")


_VALUES = {
    TokenType.NULL: lambda sign, text: None,
    TokenType.NUMBER: lambda sign, text: sign + text,
    TokenType.STRING: lambda sign, text: text,
    TokenType.HEX_STRING: _octets,
}
_BETWEEN = frozenset({TokenType.COMMA, TokenType.SEMICOLON, TokenType.INTRODUCER})
