"""
The ceilings of issuing on SQLite: one writer thread with shared commits, behind a bare ASGI app.

With `--threads` each request waits in a thread of its own, as a sync endpoint of Starlette does:
that is the server which the targets were set against. Without, the event loop waits for them all.

Counter row, ticket and event by the driver's own SQL, WAL, one commit for all that wait. No rules,
no audit, no rendering, no sessions: what the machine gives when nothing else is asked.
"""

import argparse
import asyncio
import queue
import socket
import sqlite3
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool

SCHEMA = """
CREATE TABLE IF NOT EXISTS numbers (prefix TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tickets (
    id INTEGER PRIMARY KEY, number TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE,
    unit TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, ticket_id INTEGER NOT NULL, kind TEXT NOT NULL);
"""
Done = Any
"""A future of asyncio, or of a thread."""
Job = tuple[Done, dict[str, str]]


class RawApp:
    """One endpoint, which answers as the kiosk does: 303 to the ticket."""

    def __init__(self, database: Path, synchronous: str, threads: bool) -> None:
        self._threads = threads
        self._database = database
        self._synchronous = synchronous
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        body = (await receive())["body"]
        fields = dict(pair.split("=", 1) for pair in body.decode().split("&"))
        assert self._loop is not None
        if self._threads:
            number = await run_in_threadpool(self._wait, fields)
        else:
            done: asyncio.Future[str] = self._loop.create_future()
            self._jobs.put((done, fields))
            number = await done
        headers = [
            (b"location", f"/kiosk/ticket/{number}?print=1".encode()),
            (b"content-length", b"0"),
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _wait(self, fields: dict[str, str]) -> str:
        done: Future[str] = Future()
        self._jobs.put((done, fields))
        return done.result()

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._write, daemon=True).start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _write(self) -> None:
        connection = sqlite3.connect(self._database, isolation_level=None)
        connection.executescript(SCHEMA)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        sql = connection.execute
        assert self._loop is not None
        while True:
            jobs = [self._jobs.get()]
            while not self._jobs.empty():
                jobs.append(self._jobs.get())
            sql("BEGIN IMMEDIATE")
            answers = []
            for done, fields in jobs:
                unit = fields["unit"]
                (value,) = sql(
                    "INSERT INTO numbers VALUES (?, 1) "
                    "ON CONFLICT (prefix) DO UPDATE SET value = value + 1 RETURNING value",
                    (unit,),
                ).fetchone()
                number = f"{unit}-{value:03}"
                row = sql(
                    "INSERT INTO tickets (number, key, unit, state) VALUES (?, ?, ?, 'waiting')",
                    (number, fields["f"], unit),
                )
                sql(
                    "INSERT INTO events (ticket_id, kind) VALUES (?, 'ticket_issued')",
                    (row.lastrowid,),
                )
                answers.append((done, number))
            sql("COMMIT")
            if self._threads:
                _answer(answers)
            else:
                self._loop.call_soon_threadsafe(_answer, answers)


def _answer(answers: list[tuple[Done, str]]) -> None:
    for done, number in answers:
        if not done.done():
            done.set_result(number)


def main() -> None:
    """Serve on a free port of this machine and print the address."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--synchronous", choices=("FULL", "NORMAL"), default="FULL")
    parser.add_argument("--threads", action="store_true")
    wished = parser.parse_args()
    app = RawApp(wished.database, wished.synchronous, wished.threads)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print(f"raw at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(
            app, loop="uvloop", http="httptools", access_log=False, log_level="warning"
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
