"""A proxy with TLS, as small as one can be: what Caddy or nginx do with addresses, and no more."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from puskesmas_queue import tls
from puskesmas_queue.certificates import read_identity

CHUNK = 65_536
PATIENCE_S = 30
OWN = (b"x-forwarded-for:", b"x-forwarded-proto:", b"connection:")
"""Headers of whoever asks that are not passed on."""


@contextmanager
def proxied(server: str, folder: Path) -> Iterator[str]:
    """
    Stand before a server on a port of this machine, with a certificate of its own.

    Args:
        server: Where requests go, `127.0.0.1:8000`.
        folder: Takes the certificate.

    Returns:
        The proxy's address.
    """
    names = read_identity(["localhost"], ["127.0.0.1"])
    tls.make(folder / "proxy", "Proxy", names, 1, datetime.now(UTC))
    files = tls.TlsFiles(folder / "proxy" / tls.SERVER, folder / "proxy" / tls.SERVER_KEY)
    host, port = server.split(":")
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever)
    running.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(
            lambda reader, writer: _pass_on(reader, writer, host, int(port)),
            "127.0.0.1",
            0,
            ssl=_context(files),
        )

    listener = asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE_S)
    try:
        yield f"https://localhost:{listener.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_stop(listener), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        running.join()
        loop.close()


def _context(files: tls.TlsFiles) -> ssl.SSLContext:
    context = files.context()
    # Proxies of clinics know older versions too; the server never sees which.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    """Take one request of a connection to the server, and the answer back as it comes."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n")[:-2] if not line.lower().startswith(OWN)]
    address = writer.get_extra_info("peername")[0].encode()
    lines += [b"X-Forwarded-For: " + address, b"X-Forwarded-Proto: https", b"Connection: close"]
    to_server, from_server = None, None
    try:
        from_server, to_server = await asyncio.open_connection(host, port)
        to_server.write(b"\r\n".join(lines) + b"\r\n\r\n")
        sending = asyncio.create_task(_pour(reader, to_server))
        await _pour(from_server, writer)
        sending.cancel()
    except (ConnectionError, ssl.SSLError):
        pass  # whoever asked has gone
    finally:
        for one in (to_server, writer):
            if one is not None:
                one.close()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


async def _stop(listener: asyncio.Server) -> None:
    listener.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0.1)
