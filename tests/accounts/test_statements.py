"""Long lists cost as many statements as short ones."""

import pytest

from postlane.audit import operations as audit
from postlane.core.database import transaction
from tests.client import Client
from tests.factories import (
    make_actor,
    make_api_key,
    make_membership,
    make_organization,
    make_project,
)
from tests.statements import count_statements

MEMBERS = "{ organization { members { nodes { email role apiKeyCount } } } }"
KEYS = """
{
  organization {
    apiKeys { nodes { name status createdBy { name } project { slug } requestsIn24Hours } }
  }
}
"""
LOG = "{ organization { auditLog { nodes { action user { name } } } } }"


@pytest.mark.parametrize("document", [MEMBERS, KEYS, LOG])
async def test_a_longer_list_takes_no_more_statements(client: Client, document: str) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)

    async def grow() -> None:
        membership = await make_membership(organization)
        project = await make_project(organization)
        await make_api_key(organization, membership=membership, project_id=project.id)
        async with transaction() as tx:
            await audit.record(tx, actor, action="a.b", target_type="c", target_id="d")

    async def statements() -> int:
        with count_statements() as sent:
            await client.data(document, actor=actor)
        return len(sent)

    await grow()
    few = await statements()
    for _ in range(6):
        await grow()

    assert await statements() == few
    assert few > 0


async def test_a_key_is_recognised_with_one_statement(client: Client) -> None:
    key = await make_api_key(await make_organization())

    with count_statements() as sent:
        await client.data("{ viewer { platformAdmin } }", key=key.secret)

    assert len([query for query in sent if "api_key_uses" not in query]) == 1
