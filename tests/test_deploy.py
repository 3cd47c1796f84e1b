"""What `deploy/` and the workflows say is still true of the code."""

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from postlane.core.settings import load, read_env_file
from postlane.server.cli import build_parser

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SECRET = {"POSTLANE_SECRET_KEY": "0123456789abcdef" * 2}


def compose() -> dict[str, Any]:
    """Return the compose file."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return found


def substituted(value: str) -> str:
    """Return *value* as compose would see it with only the secret set."""
    value = value.replace(
        "${POSTLANE_SECRET_KEY:?set it to 32 random characters or more}", "k" * 32
    )
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def docker_steps() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, each with its arguments on one line."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def runs(command: list[str]) -> None:
    """Fail unless `postlane` takes these arguments."""
    build_parser().parse_args(command)


def test_compose_sets_only_settings_that_exist() -> None:
    given = compose()["x-postlane"]["environment"]

    found = load({name: substituted(value) for name, value in given.items()})

    assert found.database_url == "postgresql://postlane:postlane@database/postlane"
    assert found.delivery == "capture"


def test_compose_runs_commands_that_exist_after_the_migration() -> None:
    services = compose()["services"]

    for name in ("migrate", "web", "worker"):
        runs(services[name]["command"])
    for name in ("web", "worker"):
        assert services[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"}
        }


def test_the_image_copies_what_is_there_and_installs_by_hash() -> None:
    for name, rest in docker_steps():
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
        if name == "RUN" and "pip install" in rest:
            assert all(
                "--require-hashes" in part or "--no-deps" in part
                for part in rest.split("&&")
                if "pip install" in part
            )


def test_the_image_sends_docker_no_more_than_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source.split("/")[0]
        for name, rest in docker_steps()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }

    assert ignored[0] == "*"
    assert kept == copied


def test_the_image_sets_only_settings_that_exist() -> None:
    given = dict(
        pair.split("=", 1)
        for name, rest in docker_steps()
        if name == "ENV"
        for pair in shlex.split(rest)
    )

    assert str(load({**given, **SECRET}).listen) == "0.0.0.0:8000"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_a_command_that_exists(path: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path, "utf-8")

    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert program == "/opt/postlane/bin/postlane"
    runs(arguments)


def test_the_file_of_settings_for_units_holds_settings_that_exist() -> None:
    given = read_env_file(DEPLOY / "systemd" / "postlane.env")

    assert given["POSTLANE_SECRET_KEY"] == ""
    assert load({**given, **SECRET}).hostname == "mail.example.com"


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "workflows").glob("*.yaml")), ids=lambda path: path.name
)
def test_a_workflow_makes_what_can_be_made(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"]
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]

    made = {name for step in steps for name in re.findall(r"\bmake ([a-z]+)", step)}
    assert steps
    assert made <= targets
