"""A printer in the network, usually at port 9100."""

import socket
import time
from contextlib import suppress

from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.transports.base import LIMITS, Limits, TransportFailed, rest_s

PIECE = 4096
MOST_READ = 256


class TcpTransport:
    """
    A connection to a printer in the network.

    Args:
        host: Its address or name.
        port: 9100, unless somebody changed it.

    Raises:
        TransportFailed: There is none.
    """

    can_answer = True

    def __init__(self, host: str, port: int, limits: Limits = LIMITS) -> None:
        self._stall_s = limits.stall_s
        try:
            self._socket = socket.create_connection((host, port), timeout=limits.connect_s)
        except socket.gaierror as error:
            raise TransportFailed(Reason.UNKNOWN_HOST, str(error)) from error
        except ConnectionRefusedError as error:
            raise TransportFailed(Reason.REFUSED, str(error)) from error
        except OSError as error:
            raise TransportFailed(Reason.UNREACHABLE, str(error)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes, until: float) -> None:
        sent = 0
        while sent < len(data):
            self._socket.settimeout(rest_s(until, self._stall_s))
            try:
                sent += self._socket.send(data[sent : sent + PIECE])
            except TimeoutError as error:
                detail = f"{sent} of {len(data)} bytes taken"
                raise TransportFailed(Reason.STALLED, detail, has_begun=sent > 0) from error
            except OSError as error:
                raise TransportFailed(Reason.LOST, str(error), has_begun=sent > 0) from error
            if sent < len(data) and time.monotonic() >= until:
                detail = f"{sent} of {len(data)} bytes taken"
                raise TransportFailed(Reason.STALLED, detail, has_begun=True)

    def receive(self, until: float) -> bytes:
        self._socket.settimeout(rest_s(until))
        try:
            data = self._socket.recv(MOST_READ)
        except TimeoutError:
            return b""
        except OSError as error:
            raise TransportFailed(Reason.LOST, str(error)) from error
        if not data:
            raise TransportFailed(Reason.LOST, "the printer hung up")
        return data

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            # An answer that nobody read would make the system throw away what is still on its way.
            self._socket.setblocking(False)
            while self._socket.recv(MOST_READ):
                pass
        self._socket.close()
