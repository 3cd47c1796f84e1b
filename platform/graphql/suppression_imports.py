"""Files of suppressions: handed in, read in the background, reported line by line."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..messages.operations.send import decode_raw
from ..messages.rules import Stream
from ..suppressions import operations, queries, tables
from ..suppressions.files import MAX_FILE_BYTES, MAX_LINES
from ..suppressions.rules import SuppressionReason
from .context import Info, actor_of
from .nodes import Node, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .suppressions import scope_of


@strawberry.type(description="A line of a file that was not taken.")
class RefusedLine:
    line: int = strawberry.field(description="Its number; 1 is the first of the file.")
    text: str = strawberry.field(description="How it begins.")
    problem: str = strawberry.field(description="What is wrong with it.")


def _line_type(row: tables.RefusedLine) -> RefusedLine:
    return RefusedLine(line=row.line, text=row.text, problem=row.problem)


@strawberry.type(description="A file of suppressions; kept for 30 days after it was read.")
class SuppressionImport(Node):
    row: strawberry.Private[tables.SuppressionImport]

    @strawberry.field(description="Lines that were read so far, without header and empty ones.")
    def done(self) -> int:
        return self.row.done

    @strawberry.field(description="Lines that began a suppression.")
    def added(self) -> int:
        return self.row.added

    @strawberry.field(description="Lines whose suppression was there; it ends at the later time.")
    def already_there(self) -> int:
        return self.row.changed

    @strawberry.field(description="Lines that were not taken.")
    def refused(self) -> int:
        return self.row.refused

    @strawberry.field(description="Why nothing of the file can be read; null if it can.")
    def failure(self) -> str | None:
        return self.row.failure

    @strawberry.field(description="UUID of the only project that it is for; null is all.")
    def project_uuid(self) -> UUID | None:
        return self.row.project_id

    @strawberry.field(description="When it was handed in.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When its last line was read; null before that.")
    def completed_at(self) -> datetime | None:
        return self.row.completed_at

    @strawberry.field(description="The lines that were not taken, in the order of the file.")
    async def refused_lines(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[RefusedLine]:
        page = page_request(first, after, last, before, maximum=500)
        found = await queries.list_refused_lines(actor_of(info), self.row.id, page=page)
        return to_connection(found, _line_type)


def _import_type(row: tables.SuppressionImport) -> SuppressionImport:
    return SuppressionImport(uuid=row.id, row=row)


async def load_imports(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, SuppressionImport]:
    """Return those of the imports that the actor may see."""
    found = await queries.find_imports(actor, ids)
    return {id: _import_type(row) for id, row in found.items()}


register(SuppressionImport, load_imports)


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="Files of suppressions that were handed in, newest first. Needs "
        "`messages:read`."
    )
    async def suppression_imports(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[SuppressionImport]:
        page = page_request(first, after, last, before)
        return to_connection(await queries.list_imports(actor_of(info), page=page), _import_type)


@strawberry.input(description="A file of addresses to stop sending to.")
class ImportSuppressionsInput:
    data: str = strawberry.field(
        description="CSV in base64, in UTF-8, at most "
        f"{MAX_FILE_BYTES // 2**20} MiB and {MAX_LINES} lines. Columns: `email`, and if you like "
        "`reason`, `description`, `stream`, `expires_at`, `project_id`; without a header, "
        "addresses only."
    )
    reason: SuppressionReason = strawberry.field(
        default=SuppressionReason.MANUAL, description="Of lines that name none."
    )
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="Id or UUID of the only project that they hold for."
    )
    stream: Stream | None = strawberry.field(
        default=None, description="The only stream that lines hold for which name none."
    )


@strawberry.type(description="A file that is being read.")
class ImportSuppressionsPayload:
    suppression_import: SuppressionImport = strawberry.field(description="How far it is.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Stop sending to the addresses of a CSV file, which is read in the "
        "background. Needs `messages:write`."
    )
    async def import_suppressions(
        self,
        info: Info,
        input: Annotated[ImportSuppressionsInput, strawberry.argument(description="The file.")],
    ) -> ImportSuppressionsPayload:
        row = await operations.import_suppressions(
            actor_of(info),
            decode_raw(input.data),
            reason=input.reason,
            scope=scope_of(input.project_id, input.stream),
        )
        return ImportSuppressionsPayload(suppression_import=_import_type(row))
