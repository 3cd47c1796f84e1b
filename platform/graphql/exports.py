"""Files that are made in the background of what a list holds, however long it is."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry.utils.str_converters import to_camel_case

from ..core import clock
from ..core.actor import Actor
from ..core.settings import settings
from ..exports import operations, queries, tables
from ..exports.links import make_token
from ..exports.rules import (
    KEPT,
    LINK_LASTS,
    MOST_BYTES,
    MOST_KEPT,
    MOST_OPEN,
    Dataset,
    Delimiter,
    ExportState,
    estimated_rows,
)
from .audit import AuditFilterInput
from .context import Info, actor_of
from .enums import describe_enum
from .messages import MessageFilter
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt, write_time
from .suppressions import SuppressionFilter

PATH = "/exports/"

describe_enum(
    Dataset,
    "What a file holds.",
    {
        "MESSAGES": "A line for each message.",
        "EVENTS": "A line for each event of messages, the first 200 of each.",
        "SUPPRESSIONS": "A line for each suppression; the file can be imported again.",
        "AUDIT_LOG": "A line for each entry of the audit log.",
    },
    name="ExportDataset",
)
describe_enum(
    ExportState,
    "How far an export is.",
    {
        "QUEUED": "It waits for a worker.",
        "RUNNING": "It is being written.",
        "DONE": "The file can be downloaded.",
        "FAILED": "It could not be written; `failure` says why.",
        "CANCELLED": "Somebody stopped it, or threw the file away.",
        "EXPIRED": "The file was kept long enough.",
        "OUTDATED": "Somebody was erased who may be in the file; it was thrown away.",
    },
)
describe_enum(
    Delimiter,
    "What is between two cells.",
    {"COMMA": "A comma.", "SEMICOLON": "A semicolon.", "TAB": "A tab."},
    name="CsvDelimiter",
)


@strawberry.type(
    description=f"A file of what a list holds, written in the background and kept for {KEPT.days} "
    "days."
)
class Export(Node):
    row: strawberry.Private[tables.Export]

    @strawberry.field(description="What the file holds.")
    def dataset(self) -> Dataset:
        return Dataset(self.row.dataset)

    @strawberry.field(description="How far it is.")
    def state(self) -> ExportState:
        is_over = self.row.expires_at is not None and self.row.expires_at <= clock.now()
        return ExportState.EXPIRED if is_over else ExportState(self.row.state)

    @strawberry.field(description="Lines that were written so far, without the header.")
    def rows(self) -> BigInt:
        return BigInt(self.row.rows)

    @strawberry.field(
        description="Lines that there will be about, by how far back in time it has come; null "
        "before the first."
    )
    def estimated_rows(self) -> BigInt | None:
        found = estimated_rows(self.row.rows, self.row.share)
        return None if found is None else BigInt(found)

    @strawberry.field(description="How much of it is done, 0 to 1, by time.")
    def progress(self) -> float:
        return float(self.row.share)

    @strawberry.field(description="Bytes of the file so far.")
    def size_bytes(self) -> BigInt:
        return BigInt(self.row.size_bytes)

    @strawberry.field(description="Why it failed; null unless it did.")
    def failure(self) -> str | None:
        return self.row.failure

    @strawberry.field(description="UUID of the only project that it tells of; null is all.")
    def project_uuid(self) -> UUID | None:
        return self.row.project_id

    @strawberry.field(description="Who asked for it; null was an API key that nobody has made.")
    def user_uuid(self) -> UUID | None:
        return self.row.user_id

    @strawberry.field(description="When it was asked for.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was over; null before that.")
    def completed_at(self) -> datetime | None:
        return self.row.completed_at

    @strawberry.field(description="When the file is thrown away; null if there is none.")
    def expires_at(self) -> datetime | None:
        return self.row.expires_at

    @strawberry.field(
        description="Where the file is; null unless it is done. Whoever has the address has the "
        "file, without signing in, until `downloadUrlExpiresAt`: ask for it when it is used."
    )
    def download_url(self) -> str | None:
        until = self.download_until()
        if until is None:
            return None
        return f"{settings().public_url}{PATH}{make_token(self.row.id, until=until)}"

    @strawberry.field(
        description=f"Until when `downloadUrl` is good: {LINK_LASTS.seconds // 3600} hour, or as "
        "long as the file is kept."
    )
    def download_url_expires_at(self) -> datetime | None:
        return self.download_until()

    def download_until(self) -> datetime | None:
        """Return until when a link to it is good; None if there is no file."""
        if self.row.state != ExportState.DONE or self.row.expires_at is None:
            return None
        now = clock.now()
        return min(now + LINK_LASTS, self.row.expires_at) if now < self.row.expires_at else None


def export_type(row: tables.Export) -> Export:
    """Return an export as the schema shows it."""
    return Export(uuid=row.id, row=row)


async def load_exports(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Export]:
    """Return those of the exports that the actor may see."""
    return {id: export_type(row) for id, row in (await queries.find_exports(actor, ids)).items()}


register(Export, load_exports)


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="Files of what the caller may read, newest first; shown for a month. Needs "
        "`messages:read` or `audit:read`."
    )
    async def exports(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Export]:
        page = page_request(first, after, last, before)
        return to_connection(await queries.list_exports(actor_of(info), page=page), export_type)


@strawberry.input(one_of=True, description="Which list is written into a file.")
class ExportSubject:
    messages: MessageFilter | None = strawberry.field(
        default=strawberry.UNSET, description="Messages that fit; `{}` is all of them."
    )
    events: MessageFilter | None = strawberry.field(
        default=strawberry.UNSET, description="What happened to messages that fit."
    )
    suppressions: SuppressionFilter | None = strawberry.field(
        default=strawberry.UNSET, description="Suppressions that hold and fit."
    )
    audit_log: AuditFilterInput | None = strawberry.field(
        default=strawberry.UNSET, description="Entries of the audit log that fit."
    )


@strawberry.input(description="What to write into a file.")
class StartExportInput:
    subject: ExportSubject = strawberry.field(description="Which list, and what of it.")
    delimiter: Delimiter = strawberry.field(
        default=Delimiter.COMMA, description="What is between two cells."
    )


@strawberry.type(description="A file that is being written.")
class StartExportPayload:
    export: Export = strawberry.field(description="How far it is.")


@strawberry.input(description="Which export to stop.")
class CancelExportInput:
    export_id: strawberry.ID = strawberry.field(description="Its id or UUID.")


@strawberry.type(description="An export that is over.")
class CancelExportPayload:
    export: Export = strawberry.field(description="The export.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Have a CSV file written of a list, however long it is, as the caller may "
        f"read it now. At most {MOST_OPEN} at a time and {MOST_KEPT} that are kept, of "
        f"{MOST_BYTES // 2**20} MiB. Needs `messages:read`, or of the audit log `audit:read`."
    )
    async def start_export(
        self,
        info: Info,
        input: Annotated[StartExportInput, strawberry.argument(description="Of what.")],
    ) -> StartExportPayload:
        dataset, filter = _subject(input.subject)
        row = await operations.start_export(
            actor_of(info), dataset, filter=filter, delimiter=input.delimiter
        )
        return StartExportPayload(export=export_type(row))

    @strawberry.mutation(
        description="Stop an export, or throw its file away. Needs what it takes to read it."
    )
    async def cancel_export(
        self,
        info: Info,
        input: Annotated[CancelExportInput, strawberry.argument(description="Which.")],
    ) -> CancelExportPayload:
        row = await operations.cancel_export(actor_of(info), parse_id(input.export_id, "Export"))
        return CancelExportPayload(export=export_type(row))


def _subject(subject: ExportSubject) -> tuple[Dataset, dict[str, Any]]:
    for dataset in Dataset:
        given = getattr(subject, dataset.value)
        if given is not strawberry.UNSET and given is not None:
            return dataset, _variables(given)
    raise AssertionError("the schema takes exactly one")


def _variables(value: Any) -> Any:
    """Return a filter as the variable that it came as, without what was left out."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return write_time(value)
    if isinstance(value, list):
        return [_variables(each) for each in value]
    if isinstance(value, type) or not is_dataclass(value):
        return value
    given = {each.name: getattr(value, each.name) for each in fields(value)}
    return {
        to_camel_case(name): _variables(each)
        for name, each in given.items()
        if each is not None and each is not strawberry.UNSET
    }
