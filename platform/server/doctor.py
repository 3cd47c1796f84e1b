"""`postlane doctor`: checks what Postlane stands on, and says what to do about each fault."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict

from ..core.database import close_pool, start_pool
from ..core.findings import made as _made
from ..core.queue import close_queue
from ..core.settings import load
from . import (
    counting_checks,
    database_checks,
    machine_checks,
    network_checks,
    protection_checks,
    row_security,
    webhook_checks,
)
from .connection import check_reachable, database_at_hand
from .faults import CommandFailed
from .findings import Finding, Verdict, fault

SIGNS = {Verdict.OK: "ok", Verdict.WARNING: "WARNING", Verdict.FAULT: "FAULT"}


async def run(arguments: argparse.Namespace) -> int:
    """Make every check, print what was found, and return 1 if there is a fault."""
    found = load(os.environ)
    findings = list(await _made("secret key", lambda: machine_checks.secret_key(found)))
    findings += await _made("data directory", lambda: machine_checks.data_directory(found))
    findings += await _made("exposure", lambda: machine_checks.exposure(found))
    findings += await _made("certificate", lambda: machine_checks.certificate(found))
    findings += await _made("DNS", lambda: network_checks.dns(found))
    findings += await _made("relay", lambda: network_checks.relay(found))
    findings += await _made("blocklists", lambda: protection_checks.blocklists(found))
    findings += await _made("scanners", lambda: protection_checks.scanners(found))
    try:
        async with database_at_hand(found) as url:
            await check_reachable(url)
            await start_pool(url, size=2)
            try:
                findings += await _made("database", database_checks.database)
                findings += await _made("migrations", database_checks.migrations)
                findings += await _made(row_security.SUBJECT, row_security.findings)
                findings += await _made("sealed keys", database_checks.sealed_keys)
                findings += await _made("credits", database_checks.credits)
                findings += await _made("billing", database_checks.collecting)
                findings += await _made("events", counting_checks.consumers)
                findings += await _made("analytics", counting_checks.counts)
                findings += await _made("webhooks", webhook_checks.webhooks)
                findings += await _made("job queue", lambda: database_checks.queue(url))
                findings += await _made("vMTAs", lambda: network_checks.vmtas(found))
            finally:
                await close_queue()
                await close_pool()
    except CommandFailed as error:
        findings.append(fault("database", str(error), "The checks of its contents were left out."))
    _print(findings, as_json=arguments.json)
    return int(any(each.verdict is Verdict.FAULT for each in findings))


def _print(findings: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        healthy = all(each.verdict is not Verdict.FAULT for each in findings)
        print(json.dumps({"healthy": healthy, "findings": [asdict(each) for each in findings]}))
        return
    for each in findings:
        print(f"{SIGNS[each.verdict]:8} {each.subject}: {each.sentence}")
        if each.remedy:
            print(f"{'':8} -> {each.remedy}")
