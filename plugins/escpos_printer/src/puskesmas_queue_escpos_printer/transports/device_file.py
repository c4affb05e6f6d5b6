"""A printer at a USB cable, as the file that Linux makes for it (`/dev/usb/lp0`)."""

import errno
import os
import select
import stat
import sys
import time

from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.transports.base import LIMITS, Limits, TransportFailed, rest_s

PIECE = 4096
MOST_READ = 256
PAUSE_S = 0.02
CAUSES = {
    errno.ENOENT: Reason.NO_DEVICE,
    errno.ENODEV: Reason.NO_DEVICE,
    errno.ENXIO: Reason.NO_DEVICE,
    errno.EACCES: Reason.NO_PERMISSION,
    errno.EPERM: Reason.NO_PERMISSION,
    errno.EBUSY: Reason.IN_USE,
}


class FileTransport:
    """
    An open device file. One that can be written only cannot answer.

    Args:
        path: Of the file, below `/dev`.

    Raises:
        TransportFailed: It cannot be opened, or this is Windows.
    """

    can_answer = True

    def __init__(self, path: str, limits: Limits = LIMITS) -> None:
        if sys.platform == "win32":
            raise TransportFailed(Reason.NOT_HERE, "Windows has no device files")
        self._stall_s = limits.stall_s
        self._file = self._open(path)
        if not stat.S_ISCHR(os.fstat(self._file).st_mode):
            os.close(self._file)
            raise TransportFailed(Reason.NO_DEVICE, f"{path} is no device")

    def _open(self, path: str) -> int:
        how = os.O_NONBLOCK | os.O_NOCTTY
        try:
            try:
                return os.open(path, os.O_RDWR | how)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EINVAL):
                    raise
                self.can_answer = False
                return os.open(path, os.O_WRONLY | how)
        except OSError as error:
            reason = CAUSES.get(error.errno or 0, Reason.UNREACHABLE)
            raise TransportFailed(reason, str(error)) from error

    def send(self, data: bytes, until: float) -> None:
        sent = 0
        while sent < len(data):
            wait_s = rest_s(until, self._stall_s)
            _, is_free, _ = select.select([], [self._file], [], wait_s)
            if not is_free:
                detail = f"{sent} of {len(data)} bytes taken"
                raise TransportFailed(Reason.STALLED, detail, has_begun=sent > 0)
            try:
                sent += os.write(self._file, data[sent : sent + PIECE])
            except BlockingIOError:
                time.sleep(PAUSE_S)  # said to be free, and is not: some adapters do so
            except OSError as error:
                raise TransportFailed(Reason.LOST, str(error), has_begun=sent > 0) from error

    def receive(self, until: float) -> bytes:
        while True:
            has_come, _, _ = select.select([self._file], [], [], rest_s(until))
            if not has_come:
                return b""
            try:
                data = os.read(self._file, MOST_READ)
            except BlockingIOError:
                data = b""
            except OSError as error:
                raise TransportFailed(Reason.LOST, str(error)) from error
            if data or time.monotonic() >= until:
                return data
            time.sleep(PAUSE_S)  # an empty packet of USB

    def close(self) -> None:
        os.close(self._file)
