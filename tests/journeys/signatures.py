"""What npm's mailauth, which is not ours, says about the signatures of a message."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping

from tests.parts import TOOLS


async def verdicts(message: bytes, records: Mapping[str, str]) -> dict[str, str]:
    """Return a result for each selector that signed *message*; *records* are what DNS holds."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(TOOLS / "verify_dkim.mjs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    question = {"records": dict(records), "messages": [b64encode(message).decode()]}
    out, _ = await asyncio.wait_for(process.communicate(json.dumps(question).encode()), 60)
    assert process.returncode == 0
    (signatures,) = json.loads(out)
    return {each["selector"]: each["result"] for each in signatures}
