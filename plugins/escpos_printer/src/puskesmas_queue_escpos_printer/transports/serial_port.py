"""A printer at a serial line (`/dev/ttyUSB0`, `COM3`)."""

import time
from contextlib import suppress

from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.transports.base import LIMITS, Limits, TransportFailed, rest_s

PIECE = 256
"""Small: how much of a piece was taken when its time is up, nobody knows."""


class SerialTransport:
    """
    An open serial line.

    Args:
        port: Its name.
        baud: Its speed, bits a second.
        flow: How the printer says that it is full: `none`, `rtscts` or `xonxoff`.

    Raises:
        TransportFailed: It cannot be opened.
    """

    can_answer = True

    def __init__(self, port: str, baud: int, flow: str = "none", limits: Limits = LIMITS) -> None:
        import serial  # noqa: PLC0415  # only where somebody has such a printer

        self._stall_s = limits.stall_s
        self._timeout: type[OSError] = serial.SerialTimeoutException
        try:
            self._line = serial.Serial(
                port,
                baud,
                timeout=0,
                write_timeout=limits.stall_s,
                rtscts=flow == "rtscts",
                xonxoff=flow == "xonxoff",
            )
        except (OSError, ValueError) as error:
            raise TransportFailed(_cause(error), str(error)) from error

    def send(self, data: bytes, until: float) -> None:
        for start in range(0, len(data), PIECE):
            self._line.write_timeout = rest_s(until, self._stall_s)
            try:
                self._line.write(data[start : start + PIECE])
            except self._timeout as error:
                # What waits in the system would come out whenever the printer is switched on.
                with suppress(OSError):
                    self._line.reset_output_buffer()
                detail = f"{start} of {len(data)} bytes taken"
                raise TransportFailed(Reason.STALLED, detail, has_begun=True) from error
            except OSError as error:
                raise TransportFailed(Reason.LOST, str(error), has_begun=True) from error

    def receive(self, until: float) -> bytes:
        self._line.timeout = rest_s(until)
        try:
            return bytes(self._line.read(max(1, self._line.in_waiting)))
        except OSError as error:
            raise TransportFailed(Reason.LOST, str(error)) from error

    def close(self) -> None:
        until = time.monotonic() + self._stall_s
        with suppress(OSError):
            while self._line.out_waiting and time.monotonic() < until:
                time.sleep(0.02)
            if self._line.out_waiting:
                # The system would wait for it half a minute.
                self._line.reset_output_buffer()
        self._line.close()


def _cause(error: Exception) -> Reason:
    """PySerial keeps the number of what went wrong, on Windows in its words only."""
    number = getattr(error, "errno", None)
    if number == 13 or "PermissionError" in str(error):
        return Reason.NO_PERMISSION
    if number == 16:
        return Reason.IN_USE
    return Reason.NO_DEVICE
