"""The doctor's checks of the database and the job queue."""

from collections.abc import Sequence

from ..billing.work import count_stuck
from ..core import clock
from ..core.crypto import SealBroken, unseal
from ..core.database import fetch
from ..core.queue import open_queue
from ..core.wording import counted
from ..credits.work import reconcile
from ..domains.rules import KEY_PURPOSE
from .findings import Finding, fault, ok, warning
from .history import known_migrations

LARGEST_SKEW_SECONDS = 5.0
LONGEST_LEDGER = 2_000_000
"""Entries that can be read well within the time of a check; about 200,000 a second are."""


async def database() -> Sequence[Finding]:
    """Check the server's version, its promises about the disk, and its clock against ours."""
    before = clock.now()
    [row] = await fetch(
        "SELECT current_setting('server_version') AS version, clock_timestamp() AS at, "
        "current_setting('fsync') AS fsync, "
        "current_setting('synchronous_commit') AS synchronous_commit, "
        "current_setting('full_page_writes') AS full_page_writes"
    )
    findings = [ok("database", f"PostgreSQL {row['version']} answers.")]
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if row[name] == "off":
            findings.append(
                fault(
                    "database",
                    f"{name} is off: a crash may lose mail that was accepted.",
                    f"Set {name} = on in postgresql.conf.",
                )
            )
    skew = (row["at"] - before).total_seconds()
    if abs(skew) > LARGEST_SKEW_SECONDS:
        findings.append(
            fault(
                "clock",
                f"The database's clock differs from this machine's by {skew:.1f} seconds.",
                "Run an NTP client on both: leases, retries and tokens go by the clock.",
            )
        )
    else:
        findings.append(ok("clock", "This machine and the database agree."))
    return findings


async def migrations() -> Sequence[Finding]:
    """Check that the tables are those of this version."""
    exists = await fetch("SELECT to_regclass('migration') IS NOT NULL AS made")
    rows = await fetch("SELECT name FROM migration") if exists[0]["made"] else []
    ran, known = {row["name"] for row in rows}, set(known_migrations())
    if missing := known - ran:
        return [fault("migrations", f"{len(missing)} have not run.", "Run `postlane migrate`.")]
    if unknown := ran - known:
        return [
            fault(
                "migrations",
                f"{len(unknown)} are of a newer Postlane than this one.",
                "Run that newer version on this machine as well.",
            )
        ]
    return [ok("migrations", f"All {len(known)} have run.")]


async def sealed_keys() -> Sequence[Finding]:
    """Check that the secret key opens what was sealed with it."""
    exists = await fetch("SELECT to_regclass('dkim_keys') IS NOT NULL AS made")
    if not exists[0]["made"]:
        return []
    rows = await fetch(
        "SELECT private_key FROM dkim_keys WHERE private_key IS NOT NULL ORDER BY id DESC LIMIT 20"
    )
    try:
        for row in rows:
            unseal(row["private_key"], purpose=KEY_PURPOSE)
    except SealBroken:
        return [
            fault(
                "sealed keys",
                "The secret key does not open the DKIM keys in the database.",
                "Put the one that was in use when they were made into POSTLANE_OLD_SECRET_KEYS; "
                "backups with a passphrase hold it.",
            )
        ]
    return [ok("sealed keys", f"The secret key opens the DKIM keys ({len(rows)} tried).")]


async def credits() -> Sequence[Finding]:
    """Check that the ledger of credits, the balances, the lots and the sums agree."""
    [table] = await fetch(
        "SELECT to_regclass('credit_carried') IS NOT NULL AS made, (SELECT reltuples::bigint "
        "FROM pg_class WHERE oid = to_regclass('credit_entries')) AS entries"
    )
    if not table["made"]:
        return []
    if table["entries"] > LONGEST_LEDGER:
        return [
            ok(
                "credits",
                f"The ledger has some {table['entries']} entries, too many to read now; the job "
                "after midnight does, and logs an error for each disagreement.",
            )
        ]
    disagreements = await reconcile()
    if not disagreements:
        return [ok("credits", "The ledger, the balances and the lots agree.")]
    first = disagreements[0]
    return [
        fault(
            "credits",
            "The ledger disagrees with "
            f"{counted(len(disagreements), 'balance, lot or sum', 'balances, lots or sums')}; the "
            "first is "
            f"the {first.subject} of {first.type} credits of organization "
            f"{first.organization_id}: {first.found} instead of {first.expected}.",
            "Postlane changes both in one transaction, so something else wrote to these tables, "
            "or they were restored in part. The ledger (credit_entries) is the record: restore "
            "the others from the same backup as it, or, where an organization has too little, "
            "give it the difference with the mutation grantCredits and report the rest.",
        )
    ]


async def collecting() -> Sequence[Finding]:
    """Check that every invoice that is due can be charged and booked."""
    [table] = await fetch(
        "SELECT count(*) = 1 AS made FROM pg_attribute "
        "WHERE attrelid = to_regclass('invoices') AND attname = 'stuck_since'"
    )
    if not table["made"]:
        return []
    stuck = await count_stuck()
    if not stuck:
        return [ok("billing", "Every invoice that is due can be collected.")]
    return [
        fault(
            "billing",
            f"{counted(stuck, 'invoice that is', 'invoices that are')} due cannot be "
            "charged, or not booked as paid.",
            "Each is tried again every quarter of an hour, and charged once: look for `an invoice "
            "could not be collected` in the worker's log for the reason.",
        )
    ]


async def queue(url: str) -> Sequence[Finding]:
    """Check that the job queue answers and that a worker attends to it."""
    opened = await open_queue(url)
    info = await opened.info()
    workers, waiting = len(info["workers"]), info["queued"]
    if not workers:
        return [
            warning(
                "job queue",
                f"It answers; {counted(waiting, 'job waits', 'jobs wait')}, and no worker has "
                "shown itself lately.",
                "Start one with `postlane worker`, or everything with `postlane up`.",
            )
        ]
    return [ok("job queue", f"It answers. Workers: {workers}; jobs waiting: {waiting}.")]
