"""The printer's socket: one sender at a time, as most printers have it."""

import random
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from puskesmas_queue_escpos_printer.simulator.faults import Faults
from puskesmas_queue_escpos_printer.simulator.mechanism import LOOK_S, Answer, Mechanism

HOST = "127.0.0.1"
CHUNK = 4096
IDLE_S = 60.0
BACKLOG = 4
DLE_EOT = b"\x10\x04"
_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""Of SO_LINGER: the other side sees a broken connection and no end of a conversation."""


class PrinterSocket:
    """
    Takes jobs over TCP.

    Args:
        port: 0 for any.
        faults: Looked at all the time.
        mechanism: What prints.
    """

    def __init__(self, port: int, faults: Faults, mechanism: Mechanism) -> None:
        self._faults = faults
        self._mechanism = mechanism
        self._listener: socket.socket | None = _listen(port)
        self.port: int = self._listener.getsockname()[1]
        self._is_over = threading.Event()
        self._random = random.Random(7)  # noqa: S311  # garbage, and the same in every run
        self._thread = threading.Thread(target=self._run, name="printer-socket", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def stop(self) -> None:
        """End what is open and let go of the port."""
        self._is_over.set()
        self._thread.join()

    def answer(self, send: Answer, byte: int) -> None:
        """Answer a question as the faults have it."""
        if self._faults.is_silent:
            return
        garbage = self._random.randbytes(self._random.randint(1, 9))
        send(garbage if self._faults.answers_garbage else bytes((byte,)))

    def _run(self) -> None:
        try:
            while not self._is_over.is_set():
                if self._faults.refuses:
                    self._close()
                    self._mechanism.lose()
                    self._is_over.wait(LOOK_S)
                else:
                    self._accept()
        finally:
            self._close()

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        if self._listener is None:
            try:
                self._listener = _listen(self.port)
            except OSError:
                # Somebody else took the port meanwhile: to its senders the printer stays off.
                self._is_over.wait(LOOK_S)
                return
        with suppress(TimeoutError):
            connection, _ = self._listener.accept()
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(LOOK_S)
        send = _sender(connection)
        try:
            self._read(connection, send)
        except OSError:
            # The sender went away in its own manner; what it sent counts.
            return
        finally:
            self._mechanism.end_of(send)

    def _read(self, connection: socket.socket, send: Answer) -> None:
        received, idle_s, tail = 0, 0.0, b""
        while not self._is_over.is_set() and idle_s < IDLE_S:
            if self._faults.refuses:
                _break(connection)
                return
            if self._faults.is_deaf:
                self._is_over.wait(LOOK_S)
                continue
            limit = self._faults.cut_after
            try:
                data = connection.recv(min(CHUNK, limit - received) if limit > received else CHUNK)
            except TimeoutError:
                idle_s += LOOK_S
                continue
            if not data:
                return
            received, idle_s = received + len(data), 0.0
            tail = self._real_time(tail + data, send)
            self._mechanism.take(data, send)
            if limit and received >= limit:
                _break(connection)
                return

    def _real_time(self, data: bytes, send: Answer) -> bytes:
        """
        Answer `DLE EOT n` at once, wherever it stands.

        Returns:
            The end of the bytes, which may be the beginning of one.
        """
        place = data.find(DLE_EOT)
        while 0 <= place < len(data) - 2:
            asked = data[place + 2]
            if 1 <= asked <= 4:
                self.answer(send, self._faults.status(asked))
            place = data.find(DLE_EOT, place + 2)
        if place >= 0:
            return data[place:]
        return data[-1:] if data.endswith(DLE_EOT[:1]) else b""


def last_port(address: Path) -> int:
    """Return the port that a file names, 0 where it names none."""
    try:
        port = int(address.read_text("ascii").rpartition(":")[2])
    except (OSError, ValueError):
        return 0
    return port if 0 < port < 65_536 else 0


def _listen(port: int) -> socket.socket:
    made = socket.create_server((HOST, port), backlog=BACKLOG)
    made.settimeout(LOOK_S)
    return made


def _sender(connection: socket.socket) -> Callable[[bytes], None]:
    def send(data: bytes) -> None:
        # A sender that is gone hears nothing.
        with suppress(OSError):
            connection.sendall(data)

    return send


def _break(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
