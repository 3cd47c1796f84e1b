"""What the page about tracking says is true: its documents fit, its limits are the code's."""

import re
from pathlib import Path

import pytest

from postlane.graphql.documents import prepare
from postlane.mail.links import LONGEST_TARGET, MOST_LINKS, OPT_OUT
from postlane.server.tracking import LIVE_SECONDS
from postlane.tracking.work.settling import MOST_EVENTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tracking.md").read_text("utf-8")
DOCUMENTS = re.findall(r"```graphql\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_document_of_the_page_fits_the_schema(document: str) -> None:
    prepare(document)


def test_the_page_has_the_limits_of_the_code() -> None:
    assert len(DOCUMENTS) == 6
    for said in (
        f"{LONGEST_TARGET:,} characters",
        f"the first {MOST_LINKS:,} links",
        f"{MOST_EVENTS:,} opens and clicks",
        f"{LIVE_SECONDS // 86_400} days",
        f"`{OPT_OUT}`",
    ):
        assert said in " ".join(PAGE.split())
