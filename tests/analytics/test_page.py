"""The page about analytics is true: each of its documents runs."""

import re
from pathlib import Path

import pytest

from postlane.analytics.rules import Dimension, Metric
from postlane.rest_compat.fields import camel_case
from tests.client import Client
from tests.factories import make_actor

TEXT = (Path(__file__).parents[2] / "docs" / "analytics.md").read_text("utf-8")
DOCUMENTS = re.findall(r"```graphql\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda text: text.split()[1])
async def test_every_document_of_the_page_runs(client: Client, document: str) -> None:
    actor = await make_actor()

    answer = await client.graphql(document, actor=actor)

    assert "errors" not in answer
    assert answer["data"]


def test_the_page_names_every_metric_and_dimension() -> None:
    assert len(DOCUMENTS) == 4
    assert [m for m in Metric if f"`{camel_case(m.value)}`" not in TEXT] == []
    assert [d for d in Dimension if f"`{d.name}`" not in TEXT] == []
