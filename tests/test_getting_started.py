"""The page for those who begin: its commands are run as they stand, and answer as they say."""

import json
import re
from pathlib import Path

from postlane.server.app import build_app
from tests.factories import make_api_key, make_domain, make_organization
from tests.parts import CURL, needs
from tests.reading import DOCS, fits, read, shell
from tests.serving import served


@needs(CURL)
async def test_every_command_does_what_the_page_shows(database: None, tmp_path: Path) -> None:
    async with served(build_app(opens_pool=False)) as url, shell(tmp_path, URL=url) as running:
        typed = [command async for command, _ in read("getting-started.md", running)]

    assert len(typed) == 9


@needs(CURL)
async def test_the_first_request_of_the_front_page_sends(database: None, tmp_path: Path) -> None:
    organization = await make_organization()
    made = await make_api_key(organization)
    await make_domain(organization.id, name="demo.postlane.test")
    text = (DOCS.parent / "README.md").read_text("utf-8")
    (command,) = re.findall(r"^(curl .*?)^```$", text, re.MULTILINE | re.DOTALL)

    async with served(build_app(opens_pool=False)) as url:
        command = command.replace("http://127.0.0.1:8000", url).replace("curl ", "curl -sS ", 1)
        async with shell(tmp_path, KEY=made.secret) as running:
            printed = await running.run(command)

    assert fits(json.loads(printed), {"mode": "live", "accepted": 1, "status": "queued"}), printed
