"""The doctor's checks of what mail is judged by: blocklists and scanners."""

import asyncio
from collections.abc import Sequence

from ..blocklists.asking import test_list
from ..blocklists.catalogue import check_settings, known_lists
from ..blocklists.rules import FAULTS
from ..core.settings import Settings, SettingsError
from ..scanning.clamd import engine_of
from ..scanning.errors import ScannerUnavailable
from ..scanning.rspamd import Circumstances, ask_rspamd
from .findings import Finding, fault, ok, warning

PROBE = b"From: doctor@postlane.invalid\r\nSubject: Probe\r\n\r\nIs anybody there?\r\n"


async def blocklists(found: Settings) -> Sequence[Finding]:
    """Check that the blocklists that are asked pass their tests."""
    subject = "blocklists"
    try:
        check_settings(found)
    except SettingsError as error:
        return [fault(subject, str(error), "No web process and no worker starts before that.")]
    if found.delivery != "direct":
        return [ok(subject, f"Not tested: POSTLANE_DELIVERY is {found.delivery}.")]
    lists = [known_lists()[zone] for zone in found.blocklists]
    faults = await asyncio.gather(*(test_list(each) for each in lists))
    failing = [
        warning(
            subject,
            f"{each.zone} is not believed. {FAULTS[problem]}",
            f"{each.note} See {each.site}, or take it from POSTLANE_BLOCKLISTS. Many lists refuse "
            "public resolvers: POSTLANE_DNS_SERVERS can name one of your own.",
        )
        for each, problem in zip(lists, faults, strict=True)
        if problem is not None
    ]
    return failing or [ok(subject, f"All {len(lists)} that are asked pass their tests.")]


async def scanners(found: Settings) -> Sequence[Finding]:
    """Check that the scanners that are set answer."""
    findings: list[Finding] = []
    if found.rspamd_url:
        try:
            report = await ask_rspamd(found.rspamd_url, PROBE, Circumstances())
            findings.append(ok("rspamd", f"{report.version or 'It'} answers."))
        except ScannerUnavailable as error:
            remedy = "Check POSTLANE_RSPAMD_URL: it names the normal worker, usually port 11333."
            findings.append(fault("rspamd", error.sentence, remedy))
    if found.clamd:
        try:
            engine = await engine_of(found.clamd)
            findings.append(ok("clamd", f"ClamAV {engine.version} answers."))
        except ScannerUnavailable as error:
            remedy = "Check POSTLANE_CLAMD, and the rights of this user on the socket."
            findings.append(fault("clamd", error.sentence, remedy))
    return findings
