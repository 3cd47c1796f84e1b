"""`postlane import`: taking over what another platform has, from a dump or its database."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from ..accounts.queries import find_person
from ..core.ids import new_token
from ..core.logs import start_logging
from ..core.settings import settings
from ..imports.errors import NoOwner
from ..imports.mariadb import connected, parse_address
from ..imports.postal import Dump, Running, Source
from ..imports.report import Report
from ..imports.rules import Choices
from ..imports.work import take_over_postal, take_over_signing_key
from ..security.passwords import hashed
from .connection import open_database
from .faults import CommandFailed
from .history import require_current

PASSWORD_LENGTH = 43


async def run(arguments: argparse.Namespace) -> int:
    """Take over what is new, and print what became of each thing; 1 if something was refused."""
    start_logging(form=settings().log_format, level="warning")
    pem = None if arguments.signing_key is None else _read(arguments.signing_key)
    async with open_database():
        await require_current()
        choices = await _choices(arguments)
        with _source(arguments) as source:
            report = await _taken_over(source, choices, arguments, pem)
    if arguments.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        print("\n".join(report.lines()))
    return 1 if report.refused else 0


async def _taken_over(
    source: Source, choices: Choices, arguments: argparse.Namespace, pem: bytes | None
) -> Report:
    try:
        report = await take_over_postal(source, choices, is_trial=arguments.dry_run)
        if pem is not None:
            await take_over_signing_key(
                pem,
                replace=arguments.replace_signing_key,
                is_trial=arguments.dry_run,
                report=report,
            )
    except asyncpg.UniqueViolationError as error:
        raise CommandFailed(
            f"Somebody made the same at this moment ({error.constraint_name}). What was done "
            "until then stays; run the import again."
        ) from error
    except ValueError as error:
        raise CommandFailed(f"{arguments.signing_key} holds no RSA key: {error}.") from error
    return report


async def _choices(arguments: argparse.Namespace) -> Choices:
    owner = None
    if arguments.owner is not None:
        person = await find_person(email=arguments.owner)
        if person is None:
            raise NoOwner(f"Nobody has registered with {arguments.owner}.")
        owner = person.id
    return Choices(
        owner_id=owner,
        joins_people=arguments.join_people,
        selector_prefix=arguments.dkim_identifier,
        return_path_prefix=arguments.return_path_prefix,
        password_hash=await hashed(new_token(PASSWORD_LENGTH)),
    )


@contextmanager
def _source(arguments: argparse.Namespace) -> Iterator[Source]:
    if bool(arguments.files) == (arguments.url is not None):
        raise CommandFailed("Say where Postal's data is: files that mysqldump wrote, or --url.")
    if arguments.files:
        name = arguments.database or "postal"
        yield Dump(arguments.files, database=name, prefix=arguments.message_database or name)
        return
    password = None
    if arguments.password_file is not None:
        password = _read(arguments.password_file).decode("utf-8", "replace").rstrip("\r\n")
    address = parse_address(arguments.url, password=password)
    with connected(address) as server:
        prefix = arguments.message_database or address.database
        yield Running(server, database=address.database, prefix=prefix)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.") from error
