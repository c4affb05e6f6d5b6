"""What is said to a printer, with real bytes over real sockets and devices."""

import errno
import os
import stat
import sys
import time
from dataclasses import replace

import pytest
from fake_printer import TcpPrinter

from puskesmas_queue_escpos_printer import talking
from puskesmas_queue_escpos_printer.printers import Printer, PrinterSetup
from puskesmas_queue_escpos_printer.protocol import Status
from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.transports.base import Limits, TransportFailed
from puskesmas_queue_escpos_printer.transports.opening import (
    WrongAddress,
    open_transport,
    read_address,
)

JOB = b"\x1b@Nomor A-001\n" * 20
QUICK = Limits(connect_s=0.5, status_s=0.3, stall_s=0.5, look_s=0.2, silent_s=0.4, whole_s=2.0)
HUGE = b"\x1b@" + b"x" * 16_000_000


def printer(kind: str, address: str, *, is_answering: bool = True) -> Printer:
    setup = PrinterSetup("Kiosk", kind, address, is_answering)
    return Printer("p1", setup, Status("unknown"), 0)


def send(kind: str, address: str, job: bytes = JOB, limits: Limits = QUICK, **more) -> talking.Talk:
    return talking.send(printer(kind, address, **more), job, lambda: True, limits)


def test_the_answer_after_the_job_means_printed(tcp):
    talk = send("tcp", tcp.address)

    assert (talk.sent.state, talk.status.state) == ("printed", "ready")
    assert tcp.printed == [JOB]
    assert tcp.asked == 4


def test_a_roll_that_is_nearly_at_its_end_prints_and_is_told(tcp):
    tcp.near_end = True
    talk = send("tcp", tcp.address)

    assert (talk.sent.state, talk.sent.reason) == ("printed", Reason.NEAR_END)
    assert talk.status == Status("ready", is_near_end=True)


@pytest.mark.parametrize(
    ("fault", "reason", "state"),
    [
        ("no_paper", Reason.NO_PAPER, "no_paper"),
        ("cover_open", Reason.COVER_OPEN, "cover_open"),
        ("error", Reason.PRINTER_ERROR, "error"),
    ],
)
def test_nothing_is_sent_to_a_printer_that_cannot_print(tcp, fault, reason, state):
    setattr(tcp, fault, True)
    talk = send("tcp", tcp.address)

    assert (talk.sent.state, talk.sent.reason, talk.status.state) == ("failed", reason, state)
    time.sleep(0.1)
    assert JOB[:2] not in tcp.bytes_taken


def test_an_open_cover_goes_before_the_paper_that_it_hides(tcp):
    tcp.cover_open = tcp.no_paper = True
    assert talking.see(printer("tcp", tcp.address), QUICK).state == "cover_open"


def test_a_silent_printer_is_unknown_and_gets_the_job_all_the_same(tcp):
    tcp.is_silent = True
    started = time.monotonic()
    talk = send("tcp", tcp.address)

    assert (talk.sent.state, talk.sent.reason) == ("unsure", Reason.NO_ANSWER)
    assert (talk.status.state, talk.status.reason) == ("unknown", Reason.NO_ANSWER)
    assert tcp.printed == [JOB]
    assert time.monotonic() - started < QUICK.barrier_s


def test_a_printer_that_only_knows_the_barrier_prints(tcp):
    """No answer to a question is no proof; the answer after the job is."""
    tcp.is_silent, tcp.barrier_answer = True, b"\x00"
    assert send("tcp", tcp.address).sent.state == "printed"


@pytest.mark.parametrize("garbage", [b"\x16\x16", b"HTTP/1.1 400\r\n", b"\xff", b"\x00"])
def test_garbage_is_no_answer(tcp, garbage):
    tcp.garbage = garbage
    seen = talking.see(printer("tcp", tcp.address), QUICK)
    assert (seen.state, seen.reason) == ("unknown", Reason.GARBAGE)

    tcp.barrier_answer = b"HTTP/1.1 400"
    talk = send("tcp", tcp.address)
    assert (talk.sent.state, talk.sent.reason) == ("unsure", Reason.GARBAGE)


def test_endless_garbage_ends(tcp):
    tcp.barrier_answer = b"\xee" * 200
    started = time.monotonic()
    limits = replace(QUICK, whole_s=60, barrier_s=60)
    assert send("tcp", tcp.address, limits=limits).sent.reason is Reason.GARBAGE
    assert time.monotonic() - started < 30


def test_paper_that_ends_in_the_job_is_told_soon(tcp):
    """Something of it is out: nobody knows, and the printer says why."""
    tcp.paper_ends_at = JOB[-6:]
    started = time.monotonic()
    talk = send(
        "tcp", tcp.address, limits=Limits(look_s=0.2, status_s=0.3, whole_s=60, barrier_s=60)
    )

    assert (talk.sent.state, talk.sent.reason) == ("unsure", Reason.NO_PAPER)
    assert talk.status.state == "no_paper"
    assert time.monotonic() - started < 30


def test_paper_that_ended_with_the_job_is_no_proof(tcp):
    tcp.barrier_answer = b"\x0f"
    talk = send("tcp", tcp.address)
    assert (talk.sent.state, talk.sent.reason) == ("unsure", Reason.NO_PAPER)


def test_a_connection_that_is_cut_in_the_job_is_unsure(tcp):
    tcp.hangs_up_at = JOB[:40]
    talk = send("tcp", tcp.address)
    assert (talk.sent.state, talk.sent.reason) == ("unsure", Reason.LOST)


def test_a_printer_that_stops_reading_is_given_up(tcp):
    """Its buffer is full after a part of the job."""
    tcp.is_silent = True

    def begin() -> bool:
        tcp.is_reading = False
        return True

    started = time.monotonic()
    talk = talking.send(printer("tcp", tcp.address), HUGE, begin, replace(QUICK, whole_s=60))

    assert (talk.sent.state, talk.sent.reason) == ("unsure", Reason.STALLED)
    assert time.monotonic() - started < 30


def test_a_slow_printer_has_its_time(tcp):
    """It answers questions while it prints, so it is waited for."""
    tcp.print_s = 1.0
    assert send("tcp", tcp.address, limits=Limits(look_s=0.2, whole_s=60)).sent.state == "printed"


def test_a_printer_that_is_off_has_nothing_begun(switched_on):
    off = TcpPrinter()
    off.stop()
    talk = send("tcp", off.address)
    assert (talk.sent.state, talk.sent.reason) == ("failed", Reason.REFUSED)
    assert talk.status.state == "away"

    back = switched_on(TcpPrinter(off.port))
    assert send("tcp", back.address).sent.state == "printed"


def test_an_address_that_is_a_name_of_nobody():
    talk = send("tcp", "printer.invalid:9100")
    assert (talk.sent.state, talk.sent.reason) == ("failed", Reason.UNKNOWN_HOST)


def test_a_printer_that_cannot_answer_is_not_asked(tcp):
    talk = send("tcp", tcp.address, is_answering=False)

    assert (talk.sent.state, talk.sent.reason) == ("printed", Reason.CANNOT_TELL)
    assert talk.status.state == "cannot_tell"
    time.sleep(0.1)
    assert tcp.bytes_taken == JOB


# Cables


@pytest.mark.parametrize("kind", ["file", "serial"])
def test_a_printer_at_a_cable_prints_and_tells(pty, kind):
    assert send(kind, pty.address).sent.state == "printed"
    assert pty.printed == [JOB]
    pty.no_paper = True
    assert send(kind, pty.address).sent.reason is Reason.NO_PAPER
    assert pty.printed == [JOB]


@pytest.mark.parametrize("kind", ["file", "serial"])
def test_a_cable_whose_printer_takes_nothing_is_given_up(pty, kind):
    pty.is_silent = True

    def begin() -> bool:
        pty.is_reading = False
        return True

    started = time.monotonic()
    limits = replace(QUICK, whole_s=60)
    talk = talking.send(printer(kind, pty.address), JOB * 4000, begin, limits)

    assert (talk.sent.state, talk.sent.reason) == ("unsure", Reason.STALLED)
    assert time.monotonic() - started < 30


def test_what_a_cable_still_holds_is_no_answer_to_the_next_job(pty):
    """The last job was given up, and its answer came too late."""
    pty.print_s = 0.6
    limits = Limits(whole_s=0.3, status_s=0.1)
    late = talking.send(printer("file", pty.address), JOB, lambda: True, limits)
    assert late.sent.state == "unsure"
    until = time.monotonic() + 60
    while not pty.printed:
        assert time.monotonic() < until
        time.sleep(0.01)
    # Its answer is written right after.
    time.sleep(0.2)
    pty.no_paper, pty.print_s = True, 0
    assert send("file", pty.address).sent.reason is Reason.NO_PAPER


@pytest.mark.parametrize("kind", ["file", "serial"])
def test_a_cable_that_is_not_plugged_in(kind):
    talk = send(kind, "/dev/usb/lp97")
    assert (talk.sent.state, talk.sent.reason) == ("failed", Reason.NO_DEVICE)


def test_a_file_that_is_no_device_is_not_written(tmp_path, monkeypatch):
    """An administrator's address is no way to write anywhere on the disk."""
    target = tmp_path / "passwd"
    target.write_bytes(b"root")
    with pytest.raises(WrongAddress):
        open_transport("file", str(target))
    monkeypatch.setattr(
        "puskesmas_queue_escpos_printer.transports.opening.read_address", lambda _, text: text
    )
    with pytest.raises(TransportFailed, match="no device"):
        open_transport("file", str(target))
    assert target.read_bytes() == b"root"


def test_a_device_that_can_only_be_written_says_so(pty, monkeypatch):
    """Nobody told that it cannot answer: its papers are in doubt until somebody does."""
    known = os.open

    def denied(path: str, how: int) -> int:
        if how & os.O_RDWR:
            raise PermissionError(errno.EACCES, "no reading")
        return known(path, how)

    monkeypatch.setattr(os, "open", denied)
    talk = send("file", pty.address)
    assert (talk.sent.state, talk.sent.reason) == ("unsure", Reason.CANNOT_TELL)
    assert talk.status.state == "cannot_tell"
    assert send("file", pty.address, is_answering=False).sent.state == "printed"
    assert b"\x10\x04" not in pty.bytes_taken


def test_a_device_that_nobody_may_write(pty, monkeypatch):
    def denied(path: str, how: int) -> int:
        raise PermissionError(errno.EACCES, "no writing")

    monkeypatch.setattr(os, "open", denied)
    assert send("file", pty.address).sent.reason is Reason.NO_PERMISSION


def test_windows_has_no_device_files(pty, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert send("file", pty.address).sent.reason is Reason.NOT_HERE


# CUPS


@pytest.fixture
def cups(tmp_path, monkeypatch):
    """Programs `lp` and `lpstat` that keep what they are given."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def program(name: str, script: str) -> None:
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    program("lpstat", f'echo "$@" > {tmp_path}/asked; echo "printer $2 is idle. enabled"')
    program("lp", f'echo "$@" > {tmp_path}/told; cat > {tmp_path}/job')
    program.folder = tmp_path
    return program


def test_cups_takes_the_job_and_cannot_tell(cups):
    talk = send("cups", "thermal-80")

    assert (talk.sent.state, talk.sent.reason) == ("unsure", Reason.CANNOT_TELL)
    assert talk.status.state == "cannot_tell"
    assert (cups.folder / "job").read_bytes() == JOB
    assert (cups.folder / "told").read_text().split() == ["-d", "thermal-80", "-o", "raw", "-s"]
    assert send("cups", "thermal-80", is_answering=False).sent.state == "printed"


@pytest.mark.parametrize(
    ("name", "script", "reason"),
    [
        ("lpstat", 'echo "printer $2 disabled since Mon -"', Reason.QUEUE_PAUSED),
        ("lpstat", "echo 'lpstat: Invalid destination name' >&2; exit 1", Reason.NO_QUEUE),
        ("lpstat", "echo 'lpstat: Scheduler is not running.' >&2; exit 1", Reason.UNREACHABLE),
        ("lpstat", "exec sleep 30", Reason.UNREACHABLE),
        ("lp", "cat >/dev/null; echo 'lp: too large' >&2; exit 1", Reason.NOT_TAKEN),
    ],
)
def test_what_cups_refuses_was_not_printed(cups, name, script, reason):
    cups(name, script)
    talk = send("cups", "thermal-80")
    assert (talk.sent.state, talk.sent.reason) == ("failed", reason)


def test_cups_that_does_not_end_may_have_taken_it(cups):
    cups("lp", "exec sleep 30")
    talk = send("cups", "thermal-80")
    assert (talk.sent.state, talk.sent.reason) == ("unsure", Reason.UNREACHABLE)


def test_without_cups(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    talk = send("cups", "thermal-80")
    assert (talk.sent.state, talk.sent.reason) == ("failed", Reason.NO_PROGRAM)


# Addresses


@pytest.mark.parametrize(
    ("kind", "typed", "stored"),
    [
        ("tcp", " 192.168.1.50 ", "192.168.1.50:9100"),
        ("tcp", "Printer.local:9101", "printer.local:9101"),
        ("tcp", "[fe80::1]:9100", "[fe80::1]:9100"),
        ("tcp", "[fe80::1]", "[fe80::1]:9100"),
        ("file", "/dev/usb/lp0", "/dev/usb/lp0"),
        ("serial", "/dev/ttyUSB0", "/dev/ttyUSB0,9600"),
        ("serial", "COM3, 38400", "COM3,38400"),
        ("serial", "/dev/ttyS0,19200,rtscts", "/dev/ttyS0,19200,rtscts"),
        ("serial", "/dev/ttyS0,19200,none", "/dev/ttyS0,19200"),
        ("cups", "Thermal_80", "Thermal_80"),
    ],
)
def test_addresses_have_one_form(kind, typed, stored):
    assert read_address(kind, typed) == stored
    assert read_address(kind, stored) == stored


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        ("tcp", ""),
        ("tcp", "http://printer/"),
        ("tcp", "printer:0"),
        ("tcp", "printer:70000"),
        ("tcp", "printer:abc"),
        ("tcp", "a b"),
        ("file", "lp0"),
        ("file", "/etc/passwd"),
        ("file", "/dev/../etc/passwd"),
        ("file", "/dev/usb/../sda"),
        ("serial", "/dev/ttyUSB0,fast"),
        ("serial", "/dev/ttyUSB0,9600,dtr"),
        ("serial", "/dev/ttyUSB0,9600,none,x"),
        ("serial", "COMX"),
        ("cups", "-o"),
        ("cups", "a b"),
        ("fax", "123"),
    ],
)
def test_what_is_no_address_is_refused(kind, typed):
    with pytest.raises(WrongAddress):
        read_address(kind, typed)
