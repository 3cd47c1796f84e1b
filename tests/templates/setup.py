"""What tests of templates say again and again."""

import uuid
from typing import Any

import msgspec

from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.mail.mailing import decode_personal
from tests.client import Client

CREATE = """
mutation ($input: CreateTemplateInput!) { createTemplate(input: $input) {
  template { id uuid slug name syntax projectUuid latestNumber
             published { number sender layout { slug } texts { locale subject html text }
                         variables { name default isRequired } } } } }
"""
SAVE = """
mutation ($input: SaveTemplateInput!) { saveTemplate(input: $input) {
  template { latestNumber published { number } } } }
"""
PUBLISH = """
mutation ($input: PublishTemplateInput!) { publishTemplate(input: $input) {
  template { published { number texts { text } } } } }
"""
PREVIEW = """
mutation ($input: PreviewTemplateInput!) {
  previewTemplate(input: $input) { subject html text sender missing } }
"""
DELETE = "mutation ($input: DeleteTemplateInput!) { deleteTemplate(input: $input) { deleted } }"
SEND = """
mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  message { uuid subject templateSlug content { html text } } } }
"""
SEND_PERSONAL = """
mutation ($input: SendPersonalMessageInput!) { sendPersonalMessage(input: $input) {
  uuid number uid mode accepted suppressed creditsConsumed
  message { subject templateSlug uid content { html text source } deliveries { address kind } } } }
"""


def version(text: str | None = None, **values: Any) -> dict[str, Any]:
    """Return a version with one text for everybody."""
    parts = {name: values.pop(name) for name in ("subject", "html") if name in values}
    return {"texts": [{"text": text, **parts}], **values}


async def make_template(client: Client, actor: Actor, slug: str, /, **values: Any) -> Any:
    """Make a template and return it; *text*, *html* and *subject* are its sources."""
    parts = {n: values.pop(n) for n in ("subject", "html", "text") if n in values}
    of_version = {n: values.pop(n) for n in ("layout", "sender", "variables") if n in values}
    made = {"slug": slug, "version": {"texts": [parts], **of_version}, **values}
    data = await client.data(CREATE, {"input": made}, actor=actor)
    return data["createTemplate"]["template"]


async def preview(client: Client, actor: Actor, /, **values: Any) -> Any:
    """Return what a template makes of values."""
    data = await client.data(PREVIEW, {"input": values}, actor=actor)
    return data["previewTemplate"]


async def keep_as_before(message: str) -> uuid.UUID:
    """Keep a message's values as the version before did, and return the id of its content."""
    [row] = await fetch("SELECT content_id FROM messages WHERE id = {}::text::uuid", message)
    content: uuid.UUID = row["content_id"]
    rows = await fetch(
        "DELETE FROM personal_values WHERE content_id = {} RETURNING delivery_id, body", content
    )
    await fetch("UPDATE contents SET format = 'template' WHERE id = {}", content)
    people = decode_personal([(row["delivery_id"], row["body"]) for row in rows])
    for id, personal in people.items():
        await fetch(
            "INSERT INTO personal_values (delivery_id, content_id, body) VALUES ({}, {}, {})",
            *(id, content, msgspec.msgpack.encode(personal)),
        )
    return content
