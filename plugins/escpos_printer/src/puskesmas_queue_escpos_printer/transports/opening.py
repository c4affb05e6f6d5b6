"""From a printer's address, as an administrator types it, to the way there."""

import re
from typing import Literal

from puskesmas_queue_escpos_printer.transports.base import LIMITS, Limits, Transport
from puskesmas_queue_escpos_printer.transports.cups import CupsTransport
from puskesmas_queue_escpos_printer.transports.device_file import FileTransport
from puskesmas_queue_escpos_printer.transports.serial_port import SerialTransport
from puskesmas_queue_escpos_printer.transports.tcp import TcpTransport

Kind = Literal["tcp", "file", "serial", "cups"]
KINDS: tuple[Kind, ...] = ("tcp", "file", "serial", "cups")
PORT = 9100
BAUD = 9600
FLOWS = ("none", "rtscts", "xonxoff")
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]")
DEVICE = re.compile(r"/dev/[A-Za-z0-9._:+-]+(?:/[A-Za-z0-9._:+-]+){0,5}")
LINE = re.compile(rf"{DEVICE.pattern}|COM[0-9]{{1,3}}")
QUEUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,126}")


class WrongAddress(ValueError):
    """An address that is none of its kind."""


def read_address(kind: str, text: str) -> str:
    """
    Return an address in the one form in which it is stored: `192.168.1.50:9100`,
    `/dev/usb/lp0`, `/dev/ttyUSB0,38400,rtscts` or the name of a queue.

    Raises:
        WrongAddress: It is no address of this kind.
    """  # noqa: D205  # the forms belong to the first sentence
    text = text.strip()
    if kind == "tcp":
        host, port = _host_and_port(text)
        return f"{host}:{port}"
    if kind == "serial":
        name, baud, flow = _line(text)
        return ",".join((name, str(baud), *(() if flow == "none" else (flow,))))
    form = {"file": DEVICE, "cups": QUEUE}.get(kind)
    if form is None or form.fullmatch(text) is None or ".." in text:
        raise WrongAddress(text)
    return text


def open_transport(kind: str, address: str, limits: Limits = LIMITS) -> Transport:
    """
    Open the way to a printer.

    Args:
        kind: `tcp`, `file`, `serial` or `cups`.
        address: As `read_address` returns it.
        limits: How long the printer has.

    Raises:
        WrongAddress: It is no address of this kind.
        TransportFailed: The printer is not there.
    """
    address = read_address(kind, address)
    if kind == "tcp":
        host, port = _host_and_port(address)
        return TcpTransport(host.strip("[]"), port, limits)
    if kind == "serial":
        return SerialTransport(*_line(address), limits)
    return FileTransport(address, limits) if kind == "file" else CupsTransport(address, limits)


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(PORT)
    if HOST.fullmatch(host) is None or not re.fullmatch("[0-9]{1,5}", port):
        raise WrongAddress(text)
    if not 1 <= int(port) <= 65535:
        raise WrongAddress(text)
    return host.lower(), int(port)


def _line(text: str) -> tuple[str, int, str]:
    name, *more = (part.strip() for part in text.split(","))
    baud, flow, *others = (*more, *("", "")[len(more) :])
    baud, flow = baud or str(BAUD), flow or "none"
    is_line = LINE.fullmatch(name) is not None and ".." not in name
    if not is_line or not re.fullmatch("[0-9]{3,7}", baud) or flow not in FLOWS or others:
        raise WrongAddress(text)
    return name, int(baud), flow
