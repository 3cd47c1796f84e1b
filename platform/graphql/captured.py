"""Mail that was captured instead of being sent: an inbox, with what a receiver would say."""

import asyncio
import base64
from collections.abc import Mapping
from datetime import datetime
from email import message_from_bytes
from email.message import Message as Parsed
from email.policy import compat32
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.settings import settings
from ..delivery import captured_queries
from ..delivery.captured_queries import Captured
from ..domains.queries import key_records
from ..mail.judging import Judgement, SignatureVerdict, judge
from ..mail.raw import decoded_text
from ..mail.viewing import View, read_view
from .context import Info, actor_of
from .deliveries import Delivery, load_deliveries
from .enums import describe_enum
from .message_contents import Header
from .nodes import parse_id
from .paging import After, Before, Connection, First, Last, page_request, to_connection

describe_enum(
    SignatureVerdict,
    "What became of looking at a DKIM signature.",
    {
        "PASS": "It is good.",
        "FAIL": "It is not what the key signed.",
        "NO_KEY": "The domain has no such key here.",
        "NOT_CHECKED": "The verifier does not know keys of its kind.",
    },
)


@strawberry.type(description="A DKIM signature, and whether it is good.")
class CapturedSignature:
    domain: str = strawberry.field(description="Whose it is.")
    selector: str = strawberry.field(description="Of which key.")
    algorithm: str = strawberry.field(description="Such as `rsa-sha256`.")
    verdict: SignatureVerdict = strawberry.field(description="Whether it is good.")


@strawberry.type(description="An address in a message.")
class CapturedLink:
    url: str = strawberry.field(description="The address.")
    is_encrypted: bool = strawberry.field(description="Whether it is `https`.")


@strawberry.type(description="A file of a captured message, without its bytes.")
class CapturedFile:
    filename: str = strawberry.field(description="Its name.")
    content_type: str = strawberry.field(description="Such as `image/png`.")
    size_bytes: int = strawberry.field(description="Its size in bytes, decoded.")


@strawberry.type(description="What a captured message says, and what a receiver would say of it.")
class CapturedContent:
    text: str | None = strawberry.field(description="Plain text; null when it has none.")
    html: str | None = strawberry.field(description="HTML; null when it has none.")
    headers: list[Header] = strawberry.field(description="Every header field, decoded.")
    files: list[CapturedFile] = strawberry.field(description="What it carries beside its text.")
    source: str = strawberry.field(description="As it came over SMTP, in base64.")
    signatures: list[CapturedSignature] = strawberry.field(description="Its DKIM signatures.")
    dkim_aligned: bool = strawberry.field(
        description="A good signature is of the domain in From, as DMARC asks."
    )
    spf_aligned: bool = strawberry.field(
        description="The envelope's sender is of the domain in From, as DMARC asks."
    )
    links: list[CapturedLink] = strawberry.field(description="Its first 200 addresses, each once.")
    html_bytes: int = strawberry.field(description="Size of its HTML.")
    is_clipped: bool = strawberry.field(
        description="Gmail would hide its end: it shows about 100 kB of HTML."
    )


@strawberry.type(description="A message that was captured for one recipient.")
class CapturedMessage:
    row: strawberry.Private[Captured]
    source: strawberry.Private[bytes | None] = None

    @strawberry.field(description="Its UUID.")
    def uuid(self) -> UUID:
        return self.row.id

    @strawberry.field(description="The envelope's sender.")
    def envelope_from(self) -> str:
        return self.row.envelope_from

    @strawberry.field(description="The recipient that it was handed over for.")
    def envelope_to(self) -> str:
        return self.row.envelope_to

    @strawberry.field(description="Its From, decoded.")
    def sender(self) -> str:
        return _field(self._head(), "From")

    @strawberry.field(description="Its Subject, decoded.")
    def subject(self) -> str:
        return _field(self._head(), "Subject")

    @strawberry.field(description="Its size in bytes.")
    def size_bytes(self) -> int:
        return self.row.size_bytes

    @strawberry.field(description="When it was captured.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="The delivery that it is; null if it is none of ours.")
    async def delivery(self, info: Info) -> Delivery | None:
        if self.row.delivery_id is None:
            return None
        return await info.context.loaders.load(load_deliveries, self.row.delivery_id)

    @strawberry.field(
        description="What it says and what a receiver would say of it; null in a list."
    )
    async def content(self, info: Info) -> CapturedContent | None:
        if self.source is None:
            return None
        records = await key_records(actor_of(info))
        return await asyncio.to_thread(_content, self.source, self.row.envelope_from, records)

    def _head(self) -> Parsed:
        return message_from_bytes(self.row.head.partition(b"\r\n\r\n")[0], policy=compat32)


def _field(head: Parsed, name: str) -> str:
    return decoded_text(" ".join(str(head.get(name, "")).split()))


def _content(
    source: bytes, envelope_from: str, records: Mapping[tuple[str, str], str]
) -> CapturedContent:
    view = read_view(source)
    found = judge(
        source,
        view,
        envelope_from=envelope_from,
        key_of=lambda domain, selector: records.get((domain, selector)),
    )
    return _shown(source, view, found)


def _shown(source: bytes, view: View, found: Judgement) -> CapturedContent:
    return CapturedContent(
        text=view.text,
        html=view.html,
        headers=[Header(name=name, value=value) for name, value in view.headers],
        files=[
            CapturedFile(
                filename=file.filename,
                content_type=file.content_type,
                size_bytes=len(file.content),
            )
            for file in view.files
        ],
        source=base64.b64encode(source).decode(),
        signatures=[
            CapturedSignature(
                domain=each.domain,
                selector=each.selector,
                algorithm=each.algorithm,
                verdict=each.verdict,
            )
            for each in found.signatures
        ],
        dkim_aligned=found.dkim_aligned,
        spf_aligned=found.spf_aligned,
        links=[CapturedLink(url=each.url, is_encrypted=each.is_encrypted) for each in found.links],
        html_bytes=found.html_bytes,
        is_clipped=found.is_clipped,
    )


@strawberry.type
class OrganizationFields:
    """What hangs on the organization."""

    @strawberry.field(
        description="Whether mail is captured here instead of leaving; the same for everybody."
    )
    def captures_mail(self, info: Info) -> bool:
        actor_of(info)
        return settings().delivery == "capture"

    @strawberry.field(
        description="Mail that was captured instead of being sent, the newest first. Needs "
        "`messages:read`."
    )
    async def captured_messages(
        self,
        info: Info,
        recipient: Annotated[
            str | None, strawberry.argument(description="Part of the recipient's address.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[CapturedMessage]:
        request = page_request(first, after, last, before)
        page = await captured_queries.list_captured(
            actor_of(info), request, recipient=recipient or None
        )
        return to_connection(page, lambda row: CapturedMessage(row=row))

    @strawberry.field(description="One captured message. Needs `messages:read`.")
    async def captured_message(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its UUID.")],
    ) -> CapturedMessage:
        row, source = await captured_queries.get_captured(
            actor_of(info), parse_id(id, "CapturedMessage")
        )
        return CapturedMessage(row=row, source=source)
