"""An import may be tried, cut short and run again; suppressions are read to a place."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from postlane.accounts.errors import EmailTaken
from postlane.core.actor import Origin
from postlane.core.database import fetch
from postlane.imports.errors import UnreadableSource
from postlane.imports.postal import Dump
from postlane.imports.report import Kind, Outcome, Report
from postlane.imports.work import take_over_postal
from postlane.security.credentials import actor_from_api_key
from postlane.security.errors import KeyUnknown

from .acme import CHOICES, TABLES, Acme, a_key, counted, furnish, told


async def test_suppressions_of_a_server_are_its_projects(acme: Acme) -> None:
    acme.installation.suppress(acme.server, "gone@dest.example")
    acme.installation.suppress(acme.server, "Full@Dest.example", reason="too many soft fails")
    acme.installation.suppress(
        acme.server, "asked@dest.example", reason="asked us", keep_until=None
    )
    acme.installation.suppress(acme.server, "old@dest.example", keep_until="1600000000.000000")
    acme.installation.suppress(acme.server, "not an address")

    report = await acme.take()

    organization_id, project_id = await acme.ids()
    rows = await fetch(
        "SELECT address_key, reason, description, expires_at IS NULL AS for_good, project_id "
        "FROM suppressions WHERE organization_id = {} ORDER BY address_key",
        organization_id,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("asked@dest.example", "manual", "Postal: asked us", True, project_id),
        (
            "full@dest.example",
            "soft_bounce_cooling",
            "Postal: too many soft fails",
            False,
            project_id,
        ),
        ("gone@dest.example", "hard_bounce", "Postal: too many hard fails", False, project_id),
    ]
    assert {o: report.counts[Kind.SUPPRESSION, o] for o in Outcome} == {
        Outcome.TAKEN: 3,
        Outcome.PRESENT: 0,
        Outcome.REFUSED: 1,
        Outcome.LEFT: 1,
    }
    assert told(report, Kind.SUPPRESSION, Outcome.LEFT) == [
        (f"1 of {acme.permalink}/mail", "they have ended")
    ]


async def test_a_second_run_changes_nothing(acme: Acme) -> None:
    furnish(acme)
    await acme.take()
    before = [await counted(table) for table in TABLES]

    report = await acme.take()

    assert [await counted(table) for table in TABLES] == before
    assert {outcome for _, outcome in report.counts} == {Outcome.PRESENT}
    assert report.counts[Kind.SUPPRESSION, Outcome.PRESENT] == 3


async def test_a_trial_changes_nothing_and_tells_what_would_be(acme: Acme) -> None:
    furnish(acme)
    before = [await counted(table) for table in TABLES]

    trial = await acme.take(is_trial=True)

    assert [await counted(table) for table in TABLES] == before
    real = await acme.take()
    assert trial.counts == real.counts
    assert trial.findings == real.findings


async def test_what_is_new_in_postal_is_taken_by_the_next_run(acme: Acme) -> None:
    furnish(acme)
    await acme.take()
    late = a_key()
    acme.installation.credential(acme.server, late)
    acme.installation.suppress(acme.server, "late@dest.example")

    report = await acme.take()

    assert (await actor_from_api_key(late, Origin())).api_key_id is not None
    assert report.counts[Kind.API_KEY, Outcome.TAKEN] == 1
    assert report.counts[Kind.SUPPRESSION, Outcome.TAKEN] == 1


async def test_what_was_deleted_here_stays_deleted(acme: Acme) -> None:
    secret = furnish(acme)
    await acme.take()
    organization_id, _ = await acme.ids()
    for table in ("api_keys", "domains", "suppressions"):
        await fetch(
            f"DELETE FROM {table} WHERE organization_id = {{}}",  # type: ignore[arg-type]
            organization_id,
        )

    report = await acme.take()

    with pytest.raises(KeyUnknown):
        await actor_from_api_key(secret, Origin())
    assert {outcome for _, outcome in report.counts} == {Outcome.PRESENT}


async def test_an_import_that_was_cut_short_goes_on(acme: Acme, tmp_path: Path) -> None:
    """The dump ends in the middle of the suppressions; a whole one then brings the rest."""
    furnish(acme)
    for nth in range(1_200):
        acme.installation.suppress(acme.server, f"many{nth}@dest.example")
    whole = acme.installation.dump()
    # Each row its own statement, so that the file can be cut between two.
    head, mark, tail = whole.partition("INSERT INTO `suppressions` VALUES ")
    values, _, rest = tail.partition(";\nUNLOCK")
    lines = [f"{mark}({each});" for each in values.strip("()").split("),(")]
    acme.path.write_text("\n".join([head, *lines[:800]]))
    source = Dump([acme.path], database="postal", prefix="postal")
    with pytest.raises(UnreadableSource, match="is cut short"):
        await take_over_postal(source, CHOICES, is_trial=False)

    acme.path.write_text("\n".join([head, *lines, "UNLOCK" + rest]))
    report = await take_over_postal(source, CHOICES, is_trial=False)

    organization_id, _ = await acme.ids()
    rows = await fetch(
        "SELECT count(*) AS n FROM suppressions WHERE organization_id = {}", organization_id
    )
    assert rows[0]["n"] == 1_203
    taken = report.counts[Kind.SUPPRESSION, Outcome.TAKEN]
    present = report.counts[Kind.SUPPRESSION, Outcome.PRESENT]
    assert (taken + present, report.counts[Kind.ORGANIZATION, Outcome.TAKEN]) == (1_203, 1)


async def test_suppressions_of_a_server_that_stays_behind_do_too(acme: Acme) -> None:
    gone = acme.installation.server(acme.organization, "gone", deleted_at="2025-01-01 00:00:00")
    for nth in range(3):
        acme.installation.suppress(gone, f"gone{nth}@dest.example")

    report = await acme.take()

    assert told(report, Kind.SUPPRESSION, Outcome.LEFT) == [
        (f"3 of server {gone}", "the server is not taken over")
    ]
    assert report.counts[Kind.SUPPRESSION, Outcome.TAKEN] == 0


async def test_two_imports_at_once_take_everything_once(acme: Acme) -> None:
    furnish(acme)

    answers = await asyncio.gather(acme.take(), acme.take(), return_exceptions=True)

    # Of two that make the same at this moment one is told so, and is run again.
    assert all(
        isinstance(each, Report | asyncpg.UniqueViolationError | EmailTaken) for each in answers
    )
    await acme.take()
    organization_id, _ = await acme.ids()
    for table, count in (("projects", 2), ("api_keys", 1), ("domains", 1), ("suppressions", 3)):
        rows = await fetch(
            f"SELECT id FROM {table} WHERE organization_id = {{}}",  # type: ignore[arg-type]
            organization_id,
        )
        assert len(rows) == count, table
