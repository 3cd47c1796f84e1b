"""`postlane doctor`: each fault is found, and comes with what to do."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.settings import load
from postlane.server import database_checks, machine_checks, network_checks
from postlane.server.data_dir import ensure_secret
from postlane.server.demo_dns import DemoNameServer, Record
from postlane.server.embedded import EmbeddedDatabase
from postlane.server.findings import Finding, Verdict
from tests.certificates import make_certificate
from tests.dns_server import DnsServer
from tests.server.commands import environment, postlane_command
from tests.workers import own_database

LOOPBACK = "127.0.0.1"


@pytest.fixture
async def names() -> AsyncIterator[DemoNameServer]:
    server = DemoNameServer("example")
    await server.start()
    yield server
    await server.stop()


def verdicts(findings: "list[Finding] | tuple[Finding, ...]") -> dict[str, Verdict]:
    return {finding.subject: finding.verdict for finding in findings}


async def test_a_fresh_installation_is_healthy(tmp_path: Path, names: DemoNameServer) -> None:
    names.publish([Record("mail.example", "A", LOOPBACK)])
    env = environment(tmp_path, dns_servers=str(names.address), hostname="mail.example")
    ensure_secret(tmp_path)
    migrated = await postlane_command("migrate", env=env)
    assert migrated.code == 0, migrated.err

    answer = await postlane_command("doctor", "--json", env=env)

    found = json.loads(answer.out)
    assert answer.code == 0, answer.out
    assert found["healthy"] is True
    assert [each["subject"] for each in found["findings"] if each["verdict"] != "ok"] == [
        "job queue"  # no worker runs
    ]


async def test_an_empty_directory_has_faults_and_stays_empty(
    tmp_path: Path, names: DemoNameServer
) -> None:
    names.publish([Record("mail.example", "A", LOOPBACK)])
    env = environment(tmp_path, dns_servers=str(names.address), hostname="mail.example")

    answer = await postlane_command("doctor", env=env)

    assert answer.code == 1
    assert "FAULT    secret key: POSTLANE_SECRET_KEY is not set" in answer.out
    assert f"FAULT    database: There is no database in {tmp_path} yet." in answer.out
    assert "Traceback" not in answer.out + answer.err
    assert list(tmp_path.iterdir()) == []


async def test_tables_that_are_missing_are_a_fault(tmp_path: Path, names: DemoNameServer) -> None:
    names.publish([Record("mail.example", "A", LOOPBACK)])
    env = environment(tmp_path, dns_servers=str(names.address), hostname="mail.example")
    ensure_secret(tmp_path)
    server = EmbeddedDatabase(tmp_path / "postgres")
    await server.start()
    await server.stop()

    answer = await postlane_command("doctor", env=env)

    assert answer.code == 1
    assert "FAULT    migrations: " in answer.out
    assert "-> Run `postlane migrate`." in answer.out


async def test_a_database_that_is_away_is_a_fault_among_the_others(tmp_path: Path) -> None:
    env = environment(
        tmp_path, database_url="postgresql://u:hush@127.0.0.1:1/x", secret_key="k3y" * 20
    )

    answer = await postlane_command("doctor", env=env)

    assert answer.code == 1
    assert "FAULT    database: The database at postgresql://u:***@127.0.0.1:1/x" in answer.out
    assert "hush" not in answer.out + answer.err


@pytest.mark.parametrize("secret", ["a" * 40, "ab" * 20])
async def test_a_secret_that_is_easy_to_guess_is_a_fault(tmp_path: Path, secret: str) -> None:
    found = load({"POSTLANE_SECRET_KEY": secret, "POSTLANE_DATA_DIR": str(tmp_path)})

    [finding] = await machine_checks.secret_key(found)

    assert finding.verdict is Verdict.FAULT
    assert "openssl rand" in finding.remedy


async def test_a_secret_file_that_others_may_read_is_a_fault(tmp_path: Path) -> None:
    ensure_secret(tmp_path)
    (tmp_path / "secret_key").chmod(0o644)

    [finding] = await machine_checks.secret_key(load({"POSTLANE_DATA_DIR": str(tmp_path)}))

    assert finding.verdict is Verdict.FAULT
    assert finding.remedy == f"chmod 600 {tmp_path / 'secret_key'}"


async def test_open_registration_in_public_is_a_warning() -> None:
    public = {"POSTLANE_LISTEN": "0.0.0.0:8000", "POSTLANE_PUBLIC_URL": "https://post.example"}

    opened = await machine_checks.exposure(load(public))
    closed = await machine_checks.exposure(load(public | {"POSTLANE_REGISTRATION": "closed"}))
    private = await machine_checks.exposure(load({}))

    assert verdicts(opened) == {"registration": Verdict.WARNING}
    assert verdicts(closed) == {"exposure": Verdict.OK}
    assert verdicts(private) == {"exposure": Verdict.OK}


async def test_a_public_address_without_encryption_is_a_warning() -> None:
    found = load({"POSTLANE_PUBLIC_URL": "http://post.example", "POSTLANE_REGISTRATION": "closed"})

    assert verdicts(await machine_checks.exposure(found)) == {"public URL": Verdict.WARNING}


async def test_a_certificate_is_looked_at(tmp_path: Path) -> None:
    made = make_certificate("mail.example")
    files = {
        "POSTLANE_TLS_CERTIFICATE": str(made.chain_file),
        "POSTLANE_TLS_KEY": str(made.key_file),
    }

    soon = await machine_checks.certificate(load(files))  # it is good for seven days
    with clock.frozen(clock.now() + timedelta(days=30)):
        ended = await machine_checks.certificate(load(files))
    other = await machine_checks.certificate(
        load(files | {"POSTLANE_TLS_KEY": str(make_certificate("other.example").key_file)})
    )
    missing = await machine_checks.certificate(load({"POSTLANE_SMTP_LISTEN": "0.0.0.0:587"}))

    assert [each.verdict for each in (*soon, *ended, *other, *missing)] == [
        Verdict.WARNING,
        Verdict.FAULT,
        Verdict.FAULT,
        Verdict.WARNING,
    ]


async def test_dns_that_is_silent_is_a_fault() -> None:
    found = load({"POSTLANE_DNS_SERVERS": "127.0.0.1:1", "POSTLANE_HOSTNAME": "mail.example"})

    [finding] = await network_checks.dns(found)

    assert finding.verdict is Verdict.FAULT
    assert "127.0.0.1:1" in finding.sentence


async def test_a_relay_that_does_not_answer_is_a_fault() -> None:
    found = load(
        {"POSTLANE_DELIVERY": "relay", "POSTLANE_RELAY_URL": "smtp://someone:hush@127.0.0.1:1"}
    )

    [finding] = await network_checks.relay(found)

    assert finding.verdict is Verdict.FAULT
    assert "127.0.0.1:1 cannot be reached" in finding.sentence
    assert "hush" not in finding.sentence + finding.remedy


async def test_names_and_addresses_of_vmtas_must_point_at_each_other(
    database: None, database_url: str, dns: DnsServer
) -> None:
    # No more than 200 are looked up, and other tests leave theirs behind.
    async with own_database(database_url):
        await vmtas_are_judged(dns)


async def vmtas_are_judged(dns: DnsServer) -> None:
    dns.set("good.example", "A", "192.0.2.1", "127.0.0.9")
    for name in ("1.2.0.192", "9.0.0.127", "8.0.0.127"):
        dns.set(f"{name}.in-addr.arpa", "PTR", "good.example")
    found = load(
        {
            "POSTLANE_DELIVERY": "direct",
            "POSTLANE_DNS_SERVERS": f"{dns.address}:{dns.port}",
            "POSTLANE_HOSTNAME": "good.example",
        }
    )
    names_of = {
        "nameless": (None, "nowhere.example"),
        "plain": (None, "good.example"),
        "whole": ("127.0.0.9", "good.example"),
        "unnamed": ("127.0.0.7", "good.example"),
        "one-way": ("127.0.0.8", "good.example"),
        "elsewhere": ("192.0.2.1", "good.example"),
    }
    for name, (address, hostname) in names_of.items():
        await fetch(
            "INSERT INTO vmtas (id, name, ip_address, hostname, created_at, updated_at) "
            "VALUES (gen_random_uuid(), {}, {}, {}, now(), now())",
            name,
            address,
            hostname,
        )

    try:
        found_of = verdicts(await network_checks.vmtas(found))
    finally:
        await fetch("DELETE FROM vmtas WHERE name = ANY({}::text[])", list(names_of))

    assert {name: found_of[f"vMTA {name}"] for name in names_of} == {
        "nameless": Verdict.FAULT,
        "plain": Verdict.OK,
        "whole": Verdict.OK,
        "unnamed": Verdict.FAULT,
        "one-way": Verdict.FAULT,
        # Its names fit, but no worker here could send from it.
        "elsewhere": Verdict.WARNING,
    }


async def test_keys_sealed_with_another_secret_are_a_fault(database: None) -> None:
    from postlane.core.crypto import seal

    organization = await fetch(
        "INSERT INTO organizations (id, slug, name) "
        "VALUES (gen_random_uuid(), 'doctor', 'Doctor') RETURNING id"
    )
    domain = await fetch(
        "INSERT INTO domains (id, organization_id, name, return_path_domain) "
        "VALUES (gen_random_uuid(), {}, 'doctor.example', 'b.doctor.example') RETURNING id",
        organization[0]["id"],
    )
    await fetch(
        "INSERT INTO dkim_keys (id, domain_id, selector, algorithm, private_key, public_value) "
        "VALUES (gen_random_uuid(), {}, 's', 'ed25519', {}, 'p')",
        domain[0]["id"],
        seal(b"pem", purpose="something else"),
    )

    try:
        [finding] = await database_checks.sealed_keys()
    finally:
        await fetch("DELETE FROM organizations WHERE id = {}", organization[0]["id"])

    assert finding.verdict is Verdict.FAULT
    assert "does not open the DKIM keys" in finding.sentence


async def test_a_check_that_is_sound_says_so(database: None) -> None:
    found = [*await database_checks.database(), *await database_checks.migrations()]

    assert verdicts(found) == {
        "database": Verdict.OK,
        "clock": Verdict.OK,
        "migrations": Verdict.OK,
    }
