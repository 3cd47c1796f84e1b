"""Whatever a generator makes out of the OpenAPI document is answered as the document says."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from postlane.accounts.rules import Plan
from postlane.accounts.tables import Organization
from tests.dns_server import DnsServer
from tests.parts import CLAMD, FIGURE, RSPAMD, needs
from tests.scanners import running_clamd, running_rspamd
from tests.serving import web_process

from .world import World, a_member, a_message, a_rotated_api_key, a_worker, credits

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = int(os.environ.get("GENERATED_EXAMPLES", "6"))
"""How many requests each endpoint gets at random, beside those for each rule; more by hand."""
SEED = os.environ.get("GENERATED_SEED", "")
"""Other requests than those that everybody's run makes."""
SECONDS = 240 if EXAMPLES <= 6 else 7200
"""About half a minute on a machine with nothing else to do; after this it hangs."""
CHECKS = os.environ.get(
    "GENERATED_CHECKS",
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,unsupported_method,"
    "allow_header_conformance,missing_required_header,ignored_auth,use_after_free,"
    "negative_data_rejection",
)


@pytest.mark.slow(seconds=60)
@needs(RSPAMD)
@needs(CLAMD)
async def test_no_request_is_answered_otherwise_than_described(
    world: World,
    dns: DnsServer,
    database_url: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Real processes and the same requests each time; a failure shows them as curl commands.

    Try more with `GENERATED_EXAMPLES=500 GENERATED_SEED=7` in the environment.
    """
    for given in (a_worker, credits, a_message, a_member, a_rotated_api_key):
        await given(world)
    await Organization.update({Organization.plan: Plan.SELF_HOSTED}).where(
        Organization.id == world.organization.id
    )
    ids = {
        "/api/v1/users": world.names["{member}"],
        "/api/v1/messages": world.names["{message}"],
        "/api/v1/domains": world.names["{domain_id}"],
        "/api/v1/api-keys": world.names["{api_key}"],
    }
    order = ("--seed", SEED) if SEED else ("--generation-deterministic",)

    async with (
        running_rspamd(dns) as rspamd_url,
        running_clamd() as (clamd, _),
        web_process(
            database_url,
            trusted_proxies="127.0.0.1/32",
            rspamd_url=rspamd_url,
            clamd=clamd,
        ) as url,
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--url", url, "--header", f"Authorization: {world.headers['authorization']}"),
            *("--phases", "examples,coverage,fuzzing", "--checks", CHECKS),
            *("--max-examples", str(EXAMPLES), *order, "--continue-on-failure"),
            *("--suppress-health-check", "all", "--warnings", "off", "--no-color"),
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "SCHEMATHESIS_HOOKS": "tests.compat.generating",
                "GENERATED_IDS": json.dumps(ids),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    assert process.returncode == 0, out.decode()
    record_property(FIGURE, f"Schemathesis on /openapi.json: {summary(out.decode())}")


def summary(printed: str) -> str:
    """Return the figures of Schemathesis's own summary; it must have tried every operation."""
    tested = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", printed)
    cases = re.search(r"Test cases:\s+(\d+ generated, \d+ passed)", printed)
    assert tested is not None, printed
    assert cases is not None, printed
    assert len(set(tested.groups())) == 1, printed
    return f"{tested[3]} operations, {cases[1]}, no issues found."
