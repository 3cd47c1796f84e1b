"""Fetching what strangers name: never from an address that is not public."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from postlane.mail.destinations import is_allowed
from postlane.mail.dns import Resolver
from postlane.mail.fetching import Fetcher, NoReply, Problem, Reply, Request
from tests.certificates import make_certificate
from tests.dns_server import DnsServer
from tests.web_server import WebServer

NAME = "brand.example"
LOOPBACK = ip_network("127.0.0.1/32")
"""The one address that the tests' operator allows, because the web server is there."""


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer((NAME, "127.0.0.1")) as server:
        server.set("/logo", b"<svg/>", "image/svg+xml; charset=utf-8")
        yield server


@pytest.fixture
async def fetcher(dns_server: DnsServer) -> AsyncIterator[Fetcher]:
    dns_server.set(NAME, "A", "127.0.0.1", ttl=0)
    context = ssl.create_default_context(cafile=make_certificate(NAME, "127.0.0.1").ca_file)
    resolver = Resolver([dns_server.server], timeout=timedelta(seconds=1))
    async with Fetcher(resolver, allowed=[LOOPBACK], context=context) as opened:
        yield opened


def asked(url: str, **values: Any) -> Request:
    return Request(url, **{"within": timedelta(seconds=5), "max_bytes": 1_000} | values)


async def problem_of(fetcher: Fetcher, url: str, **values: Any) -> Problem:
    found = await fetcher.fetch(asked(url, **values))
    assert isinstance(found, NoReply), found
    return found.problem


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "fec0::1",
        "ff02::1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "localhost",
        "",
    ],
)
def test_what_is_not_public_is_not_allowed(address: str) -> None:
    assert not is_allowed(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_what_is_public_is_allowed(address: str) -> None:
    assert is_allowed(address)


def test_the_operator_may_allow_a_network_in_all_its_forms() -> None:
    private = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]

    assert is_allowed("10.9.9.9", allowed=private)
    assert is_allowed("::ffff:10.9.9.9", allowed=private)
    assert is_allowed("fd00::1", allowed=private)
    assert not is_allowed("192.168.0.1", allowed=private)


async def test_a_reply_comes_with_its_type_and_bytes(fetcher: Fetcher, web: WebServer) -> None:
    found = await fetcher.fetch(asked(f"https://{NAME}:{web.port}/logo"))

    assert isinstance(found, Reply)
    assert (found.status, found.content_type) == (200, "image/svg+xml")
    assert (found.body, found.is_whole) == (b"<svg/>", True)
    (request,) = web.asked
    assert request.headers["host"] == f"{NAME}:{web.port}"
    assert request.headers["accept-encoding"] == "identity"
    assert "cookie" not in request.headers


async def test_a_body_and_headers_are_sent(fetcher: Fetcher, web: WebServer) -> None:
    await fetcher.fetch(
        asked(
            f"https://{NAME}:{web.port}/logo",
            method="POST",
            body=b"{}",
            headers={"Content-Type": "application/json"},
        )
    )

    (request,) = web.asked
    assert (request.method, request.body) == ("POST", b"{}")
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2",
        "127.1",
        "2130706434",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.2]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:2]",
        "[fe80::1%25lo]",
        "127。0。0。2",
    ],
)
async def test_an_address_in_the_url_is_refused_before_anything_is_connected(
    fetcher: Fetcher, host: str
) -> None:
    found = await problem_of(fetcher, f"https://{host}:1/")

    assert found is Problem.NOT_PUBLIC


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("A", "127.0.0.2"),
        ("A", "10.0.0.1"),
        ("A", "169.254.169.254"),
        ("AAAA", "::1"),
        ("AAAA", "::ffff:7f00:2"),
        ("AAAA", "fd00:ec2::254"),
    ],
)
async def test_a_public_name_with_a_private_address_is_refused(
    fetcher: Fetcher, dns_server: DnsServer, kind: str, address: str
) -> None:
    dns_server.set("inside.example", kind, address)

    assert await problem_of(fetcher, "https://inside.example/") is Problem.NOT_PUBLIC


async def test_one_private_address_among_others_is_refused(
    fetcher: Fetcher, dns_server: DnsServer, web: WebServer
) -> None:
    dns_server.set(NAME, "A", "127.0.0.1", "10.0.0.1")

    found = await problem_of(fetcher, f"https://{NAME}:{web.port}/logo")

    assert (found, web.asked) == (Problem.NOT_PUBLIC, [])


async def test_the_name_is_looked_up_once_and_connected_to_as_found(
    fetcher: Fetcher, dns_server: DnsServer, web: WebServer
) -> None:
    """Between a check and a connection there is no second look-up to rebind the name in."""
    await fetcher.fetch(asked(f"https://{NAME}:{web.port}/logo"))

    assert dns_server.queries == {(NAME, "A"): 1, (NAME, "AAAA"): 1}


async def test_a_name_that_turns_private_is_refused_the_next_time(
    fetcher: Fetcher, dns_server: DnsServer, web: WebServer
) -> None:
    with WebServer((NAME, "127.0.0.1"), host="127.0.0.2") as inside:
        inside.set("/secret", b"secret", "text/plain")

        def rebind(handler: Any) -> None:
            dns_server.set(NAME, "A", "127.0.0.2", ttl=0)
            handler.send_response(302)
            handler.send_header("Location", f"https://{NAME}:{inside.port}/secret")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        web.pages["/turn"] = rebind
        found = await problem_of(fetcher, f"https://{NAME}:{web.port}/turn", redirects=3)

        assert (found, inside.asked) == (Problem.NOT_PUBLIC, [])


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("https://127.0.0.2/x", Problem.NOT_PUBLIC),
        ("https://[::ffff:127.0.0.2]/x", Problem.NOT_PUBLIC),
        ("//169.254.169.254/latest/meta-data", Problem.NOT_PUBLIC),
        ("http://brand.example/x", Problem.NOT_HTTPS),
        ("file:///etc/passwd", Problem.BAD_URL),
        ("gopher://127.0.0.1:25/", Problem.NOT_HTTPS),
        ("https://user:secret@brand.example/x", Problem.BAD_URL),
        ("https://[::1/", Problem.BAD_URL),
        ("/again", Problem.REDIRECTED),
    ],
)
async def test_a_redirect_is_judged_like_a_url(
    fetcher: Fetcher, web: WebServer, location: str, problem: Problem
) -> None:
    web.redirect("/again", location)

    found = await problem_of(fetcher, f"https://{NAME}:{web.port}/again", redirects=3)

    assert found is problem


async def test_a_redirect_is_followed_only_where_asked(fetcher: Fetcher, web: WebServer) -> None:
    web.redirect("/old", "/logo")
    url = f"https://{NAME}:{web.port}/old"

    followed = await fetcher.fetch(asked(url, redirects=1))
    stayed = await fetcher.fetch(asked(url))

    assert isinstance(followed, Reply)
    assert isinstance(stayed, Reply)
    assert (followed.status, stayed.status) == (200, 302)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://brand.example/", Problem.NOT_HTTPS),
        ("ftp://brand.example/", Problem.NOT_HTTPS),
        ("https://", Problem.BAD_URL),
        ("https:///x", Problem.BAD_URL),
        ("https://brand.example:99999/", Problem.BAD_URL),
        ("https://brand.example:0/", Problem.BAD_URL),
        ("https://a b.example/", Problem.BAD_URL),
        ("https://brand.example/\r\nHost: x", Problem.BAD_URL),
        ("https://me@brand.example/", Problem.BAD_URL),
        ("https://" + "a" * 64 + ".example/", Problem.NO_ADDRESS),
        ("https://brand.example/" + "a" * 2_048, Problem.BAD_URL),
        ("https://absent.example/", Problem.NO_ADDRESS),
        ("https://0x7f000001/", Problem.NOT_PUBLIC),
        ("https://localhost/", Problem.NO_ADDRESS),
        ("\x00", Problem.BAD_URL),
    ],
)
async def test_what_is_no_https_url_of_a_host_is_refused(
    fetcher: Fetcher, url: str, problem: Problem
) -> None:
    assert await problem_of(fetcher, url) is problem


async def test_a_body_is_cut_off_at_the_limit(fetcher: Fetcher, web: WebServer) -> None:
    web.set("/exact", b"x" * 1_000, "text/plain")
    web.set("/large", b"x" * 1_000_000, "text/plain")

    exact = await fetcher.fetch(asked(f"https://{NAME}:{web.port}/exact"))
    large = await fetcher.fetch(asked(f"https://{NAME}:{web.port}/large"))

    assert isinstance(exact, Reply)
    assert isinstance(large, Reply)
    assert (len(exact.body), exact.is_whole) == (1_000, True)
    assert (len(large.body), large.is_whole) == (1_000, False)


async def test_an_answer_without_an_end_runs_out_of_time(fetcher: Fetcher, web: WebServer) -> None:
    web.drip("/drip", seconds=0.05)
    started = time.monotonic()

    found = await problem_of(
        fetcher, f"https://{NAME}:{web.port}/drip", within=timedelta(seconds=0.5)
    )

    assert found is Problem.TIMEOUT
    assert time.monotonic() - started < 10


async def test_packed_bytes_are_not_unpacked(fetcher: Fetcher, web: WebServer) -> None:
    """A thousand bytes may unpack to a gigabyte."""
    web.set("/packed", b"\x1f\x8bwhatever", "text/plain", content_encoding="gzip")

    found = await fetcher.fetch(asked(f"https://{NAME}:{web.port}/packed"))

    assert isinstance(found, Reply)
    assert found.body == b"\x1f\x8bwhatever"


async def test_a_certificate_for_another_name_or_from_nobody_is_refused(
    fetcher: Fetcher, dns_server: DnsServer
) -> None:
    dns_server.set("other.example", "A", "127.0.0.1")
    with WebServer((NAME, "127.0.0.1")) as wrong_name, WebServer(("x.example",)) as nobody:
        for port in (wrong_name.port, nobody.port):
            found = await problem_of(fetcher, f"https://other.example:{port}/")
            assert found is Problem.BAD_CERTIFICATE


async def test_a_server_that_speaks_no_http_is_a_value(fetcher: Fetcher) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n" * 10)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        over_tls = await problem_of(fetcher, f"https://{NAME}:{port}/")
        in_clear = await problem_of(fetcher, f"http://{NAME}:{port}/", https_only=False)

    assert (over_tls, in_clear) == (Problem.BAD_CERTIFICATE, Problem.BROKEN)


async def test_a_closed_port_is_a_value(fetcher: Fetcher) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        found = await problem_of(fetcher, f"https://{NAME}:{held.getsockname()[1]}/")

    assert found is Problem.UNREACHABLE


async def test_headers_of_any_length_are_not_read(fetcher: Fetcher, web: WebServer) -> None:
    web.set("/long", b"", "text/plain", x_long="x" * 100_000)

    assert await problem_of(fetcher, f"https://{NAME}:{web.port}/long") is Problem.BROKEN
