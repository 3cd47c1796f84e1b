"""`postlane up`: everything on one machine, from nothing, kept running."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import urllib.request
from dataclasses import fields
from functools import partial
from http.client import HTTPException

from ..core.logs import start_logging
from ..core.measuring import forget_in
from ..core.settings import PREFIX, Address, Settings, load
from . import demo
from .api import Api, fetch_url
from .connection import check_reachable, embedded_folder
from .data_dir import claim, ensure_secret
from .demo_dns import DemoNameServer
from .embedded import EmbeddedDatabase
from .faults import CommandFailed
from .listening import ensure_free, listened
from .nursery import Nursery
from .supervisor import Program, Supervisor

log = logging.getLogger(__name__)

WEB_PATIENCE_SECONDS = 30.0
WORKER_PATIENCE_SECONDS = 60.0
SMTP_PATIENCE_SECONDS = 30.0
WORKER_NICENESS = 10
"""What the worker yields to the web on one machine: a caller waits, mail in the queue can.

Ten leaves the worker a tenth of a core that both want; whatever the web leaves is all its own.
"""
FALSE_STARTS = 3
"""Web processes that end before one answers; then it is no accident."""


async def run(arguments: argparse.Namespace) -> int:
    """Run everything until a signal comes, then stop in order; a second signal hurries."""
    running = asyncio.create_task(_run(load(os.environ), with_demo=arguments.demo))
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(signum, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        log.info("stopped")
    return 0


async def _run(found: Settings, *, with_demo: bool) -> None:
    form = _log_form(found)
    start_logging(form=form, level=found.log_level)
    if with_demo and found.delivery != "capture":
        raise CommandFailed(
            f"--demo sends to an address that does not exist, and POSTLANE_DELIVERY is "
            f"{found.delivery}. Unset it, or leave --demo out."
        )
    supervisor, nursery = Supervisor(), Nursery()
    with claim(found.data_dir):
        forget_in(found.data_dir)
        ensure_free(found.listen, setting=f"{PREFIX}LISTEN")
        for setting, address in listened(found).items():
            ensure_free(address, setting=setting)
        if not found.secret_key and ensure_secret(found.data_dir):
            log.info("made a secret key in %s", found.data_dir / "secret_key")
        names = DemoNameServer(demo.ZONE) if with_demo else None
        try:
            environment = _environment(found, form=form)
            if names is not None:
                environment.update(_demo_environment(found, await names.start()))
            url = await _start(supervisor, nursery, found, environment, form=form)
            if names is not None:
                await _demonstrate(found, names, url)
            await asyncio.Event().wait()
        finally:
            try:
                await supervisor.stop()
            except asyncio.CancelledError:  # a second Ctrl-C
                supervisor.kill()
                raise
            finally:
                await nursery.stop()
                if names is not None:
                    await names.stop()


def _environment(found: Settings, *, form: str) -> dict[str, str]:
    return {
        **os.environ,
        f"{PREFIX}DATA_DIR": str(found.data_dir),
        f"{PREFIX}LOG_FORMAT": form,
        f"{PREFIX}PUBLIC_URL": public_url(found),
    }


async def _start(
    supervisor: Supervisor,
    nursery: Nursery,
    found: Settings,
    environment: dict[str, str],
    *,
    form: str,
) -> str:
    """Start every part, in order, and return the database's URL once the web answers."""
    url = found.database_url
    if url:
        await check_reachable(url)
    else:
        database = EmbeddedPart(EmbeddedDatabase(embedded_folder(found)))
        await supervisor.add(database)
        url = environment[f"{PREFIX}DATABASE_URL"] = database.url
    program = partial(_program, nursery=nursery, environment=environment, form=form)
    await _once(program("migrate"))
    await supervisor.add(
        program("worker", patience_seconds=WORKER_PATIENCE_SECONDS, niceness=WORKER_NICENESS)
    )
    # Added last, so stopped first: nothing is accepted while the rest stops.
    if listened(found):
        await supervisor.add(program("smtp", patience_seconds=SMTP_PATIENCE_SECONDS))
    await supervisor.add(program("web", patience_seconds=WEB_PATIENCE_SECONDS))
    await answering(found, supervisor)
    log.info("Postlane is up at %s. Ctrl-C stops it.", public_url(found))
    return url


def _demo_environment(found: Settings, server: Address) -> dict[str, str]:
    """Return settings that make the demonstration's names true, where nothing else is set."""
    declared = {f.name: f.metadata["default"] for f in fields(Settings)}
    chosen = {}
    if not found.dns_servers:
        chosen[f"{PREFIX}DNS_SERVERS"] = str(server)
    if found.hostname == declared["hostname"].lower().rstrip("."):
        chosen[f"{PREFIX}HOSTNAME"] = demo.HOSTNAME
    return chosen


async def _demonstrate(found: Settings, names: DemoNameServer, database_url: str) -> None:
    api = Api(f"http://{local(found.listen)}")
    kept = await demo.prepare(api, names, found.data_dir)
    fate = await demo.demonstrate(api, kept.api_key)
    message = await demo.captured(database_url, fate.message_id)
    signature = await demo.verify_signature(message, names.address) if message else None
    url = public_url(found)
    print(
        demo.summary(found=found, url=url, kept=kept, fate=fate, signature=signature),
        flush=True,
    )


class EmbeddedPart:
    """The embedded database as a part of the supervisor."""

    name = "database"

    def __init__(self, database: EmbeddedDatabase) -> None:
        self._database = database
        self.url = ""

    async def start(self) -> None:
        """Start the server; after a crash it recovers first."""
        self.url = await self._database.start()

    async def wait(self) -> int:
        """Return the server's exit code once it has ended."""
        return await self._database.process.wait()

    async def stop(self) -> None:
        """Stop the server; what was committed stays."""
        await self._database.stop()

    def kill(self) -> None:
        """Stop the server without tidying; the next start recovers."""
        if self._database.running:
            self._database.process.send_signal(signal.SIGQUIT)


def public_url(found: Settings) -> str:
    """Return where people reach us: as set, or else where we listen."""
    declared = {f.name: f.metadata["default"] for f in fields(Settings)}
    if found.public_url == declared["public_url"] and str(found.listen) != declared["listen"]:
        return f"http://{local(found.listen)}"
    return found.public_url


def local(listen: Address) -> Address:
    """Return an address of this machine that reaches *listen*."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    return Address(anywhere.get(listen.host, listen.host), listen.port)


async def answering(found: Settings, supervisor: Supervisor) -> None:
    """Return once the web process answers.

    Raises:
        CommandFailed: it ended several times instead.
    """
    url = f"http://{local(found.listen)}/health"
    while supervisor.restarts["web"] < FALSE_STARTS:
        if await asyncio.to_thread(_answers, url):
            return
        await asyncio.sleep(0.1)
    raise CommandFailed("The web process does not start; the lines above say why.")


def _answers(url: str) -> bool:
    try:
        # "Not healthy yet" is an answer too.
        fetch_url(urllib.request.Request(url), seconds=5)
    except (OSError, HTTPException):
        return False
    return True


def _log_form(found: Settings) -> str:
    if found.log_format != "auto":
        return found.log_format
    return "text" if sys.stderr.isatty() else "json"


def _program(
    name: str,
    *,
    nursery: Nursery,
    environment: dict[str, str],
    form: str,
    patience_seconds: float = 10.0,
    niceness: int = 0,
) -> Program:
    return Program(
        name,
        [name],
        nursery=nursery,
        environment=environment,
        patience_seconds=patience_seconds,
        prefixed=form == "text",
        niceness=niceness,
    )


async def _once(program: Program) -> None:
    await program.start()
    try:
        code = await program.wait()
    finally:
        await program.stop()
    if code != 0:
        raise CommandFailed(f"`postlane {program.name}` failed; the lines above say why.")
