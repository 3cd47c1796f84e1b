"""A proxy that takes TLS off, as one stands in front of every deployment."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.certificates import make_certificate


@asynccontextmanager
async def behind_tls(url: str) -> AsyncIterator[int]:
    """Serve *url* over TLS for `localhost`, as a proxy in front does, and give the port."""
    target = urlsplit(url)
    made = make_certificate("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.chain_file, made.key_file)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while octets := await reader.read(65_536):
                writer.write(octets)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(copy(reader, before), copy(behind, writer))

    server = await asyncio.start_server(pass_on, "localhost", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
