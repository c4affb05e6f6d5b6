"""A printer that is told what to do wrong: it reads real bytes and answers as ESC/POS says."""

import contextlib
import os
import select
import socket
import threading
import time
import tty
from collections.abc import Callable
from functools import partial

BARRIER = b"\x1dr\x01"


class FakePrinter:
    """
    What a printer does with what it is sent; `TcpPrinter` and `PtyPrinter` are the ways to it.

    It prints whatever stands before a barrier: `printed` are these pieces, and `bytes_taken` all
    that came.
    """

    def __init__(self) -> None:
        self.printed: list[bytes] = []
        self.bytes_taken = b""
        self.connections = 0
        self.asked = 0
        self.no_paper = False
        self.cover_open = False
        self.error = False
        self.near_end = False
        self.is_silent = False
        self.garbage = b""
        self.is_reading = True
        self.hangs_up_at: bytes | None = None
        self.paper_ends_at: bytes | None = None
        self.barrier_answer: bytes | None = None
        self.print_s = 0.0

    def status(self, topic: int) -> int:
        """Return the answer to DLE EOT."""
        answer = 0x12
        if topic == 1 and (self.no_paper or self.cover_open or self.error):
            answer |= 0x08
        if topic == 2:
            answer |= 0x04 * self.cover_open | 0x20 * self.no_paper | 0x40 * self.error
        if topic == 3:
            answer |= 0x08 * self.error
        if topic == 4:
            answer |= 0x60 * self.no_paper | 0x0C * (self.near_end or self.no_paper)
        return answer

    def talk(self, read: Callable[[], bytes | None], write: Callable[[bytes], None]) -> None:
        """Take what comes until the other side hangs up; `read` gives None where nothing came."""
        waiting = b""
        while (data := read()) != b"":
            self.bytes_taken += data or b""
            waiting = self._answer_questions(waiting + (data or b""), write)
            if self.hangs_up_at is not None and self.hangs_up_at in waiting:
                return
            if self.paper_ends_at is not None and self.paper_ends_at in waiting:
                self.no_paper, self.paper_ends_at = True, None
            while BARRIER in waiting and not (self.no_paper or self.cover_open):
                job, _, waiting = waiting.partition(BARRIER)
                time.sleep(self.print_s)
                self.printed.append(job)
                if self.barrier_answer is not None:
                    write(self.barrier_answer)
                elif not self.is_silent:
                    write(b"\x03" if self.near_end else b"\x00")

    def _answer_questions(self, data: bytes, write: Callable[[bytes], None]) -> bytes:
        while (at := data.find(b"\x10\x04")) >= 0 and len(data) > at + 2:
            self.asked += 1
            if self.garbage:
                write(self.garbage)
            elif not self.is_silent:
                write(bytes([self.status(data[at + 2])]))
            data = data[:at] + data[at + 3 :]
        return data


class TcpPrinter(FakePrinter):
    """At a port of this machine; one connection at a time, as most are."""

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Switch it off."""
        self._is_over.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(TimeoutError):
                taken, _ = self._listener.accept()
                self.connections += 1
                with taken, contextlib.suppress(OSError):
                    taken.settimeout(0.05)
                    self.talk(partial(self._read, taken), taken.sendall)

    def _read(self, taken: socket.socket) -> bytes | None:
        if self._is_over.is_set():
            return b""
        if not self.is_reading:
            time.sleep(0.05)
            return None
        try:
            return taken.recv(65536)
        except TimeoutError:
            return None


class PtyPrinter(FakePrinter):
    """At a terminal device: a character device as `/dev/usb/lp0` and a serial line are."""

    def __init__(self) -> None:
        super().__init__()
        self._own, self._other = os.openpty()
        tty.setraw(self._other)
        self.address = os.ttyname(self._other)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Pull the plug."""
        if self._is_over.is_set():
            return
        self._is_over.set()
        self._thread.join()
        os.close(self._own)
        os.close(self._other)

    def _serve(self) -> None:
        self.talk(self._read, lambda data: os.write(self._own, data) and None)

    def _read(self) -> bytes | None:
        if self._is_over.is_set():
            return b""
        if not self.is_reading or not select.select([self._own], [], [], 0.05)[0]:
            time.sleep(0.01)
            return None
        return os.read(self._own, 65536)
