"""The simulated printer, by real sockets on loopback."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from puskesmas_queue_escpos_printer.simulator import PrinterSimulator

JOB = b"\x1b@Nomor A-012\n\x1dVB\x00"
BARRIER = b"\x1dr\x01"
WAIT_S = 60.0


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[PrinterSimulator]:
    made = PrinterSimulator(tmp_path)
    yield made
    made.stop()


def connect(printer: PrinterSimulator) -> socket.socket:
    return socket.create_connection(("127.0.0.1", printer.port), timeout=WAIT_S)


def send(printer: PrinterSimulator, data: bytes) -> None:
    with connect(printer) as line:
        line.sendall(data)


def is_on(printer: PrinterSimulator) -> bool:
    try:
        connect(printer).close()
    except ConnectionError:
        return False
    return True


def until(look: Callable[[], Any]) -> None:
    end = time.monotonic() + WAIT_S
    while not look():
        assert time.monotonic() < end
        time.sleep(0.02)


def answer(line: socket.socket, timeout: float = 0.4) -> bytes:
    line.settimeout(timeout)
    try:
        return line.recv(64)
    except TimeoutError:
        return b""


def post(printer: PrinterSimulator, wanted: object, **headers: str) -> int:
    body = json.dumps(wanted).encode()
    request = urllib.request.Request(f"{printer.url}/faults", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as answered:
            return int(answered.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def get(printer: PrinterSimulator, path: str) -> bytes:
    with urllib.request.urlopen(f"{printer.url}{path}", timeout=WAIT_S) as answered:
        content: bytes = answered.read()
        return content


def test_a_job_is_kept_as_picture_and_bytes(printer: PrinterSimulator) -> None:
    with connect(printer) as line:
        line.sendall(JOB + BARRIER)
        assert answer(line, WAIT_S) == b"\x00"

    (slip,) = printer.slips
    assert slip.sent.read_bytes() == JOB
    assert (slip.text, slip.complaints, slip.is_cut) == ("Nomor A-012", (), True)
    with Image.open(slip.picture) as picture:
        assert picture.width == 640
        assert round(picture.info["dpi"][0]) == 203


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ({}, [0x12, 0x12, 0x12, 0x12]),
        ({"paper": "near_end"}, [0x12, 0x12, 0x12, 0x1E]),
        ({"paper": "end"}, [0x1A, 0x32, 0x12, 0x7E]),
        ({"is_cover_open": True}, [0x1A, 0x16, 0x12, 0x12]),
        ({"is_offline": True}, [0x1A, 0x12, 0x12, 0x12]),
    ],
)
def test_status_is_answered_at_once(
    printer: PrinterSimulator, faults: dict[str, object], status: list[int]
) -> None:
    """Also when nothing is printed, and split over packets."""
    printer.faults.switch(faults)
    with connect(printer) as line:
        for asked, byte in enumerate(status, start=1):
            line.sendall(b"\x10")
            time.sleep(0.02)
            line.sendall(bytes((4, asked)))
            assert answer(line, WAIT_S) == bytes((byte,))


@pytest.mark.parametrize(
    ("fault", "mended"),
    [("paper", "ok"), ("is_cover_open", False), ("is_offline", False)],
)
def test_what_was_received_is_printed_when_paper_is_back(
    printer: PrinterSimulator, fault: str, mended: object
) -> None:
    """The barrier is not answered before, and the job comes out though its sender went away."""
    printer.faults.switch({fault: "end" if fault == "paper" else True})
    with connect(printer) as line:
        line.sendall(JOB + BARRIER)
        assert answer(line) == b""
    assert printer.slips == []
    assert printer.waiting > 0

    printer.faults.switch({fault: mended})

    until(lambda: len(printer.slips) == 1)
    until(lambda: printer.waiting == 0)


def test_a_silent_printer_prints_and_says_nothing(printer: PrinterSimulator) -> None:
    printer.faults.is_silent = True
    with connect(printer) as line:
        line.sendall(b"\x10\x04\x01" + JOB + BARRIER)
        assert answer(line) == b""
    until(lambda: len(printer.slips) == 1)


def test_garbage_is_no_status(printer: PrinterSimulator) -> None:
    printer.faults.answers_garbage = True
    with connect(printer) as line:
        for _ in range(5):
            line.sendall(b"\x10\x04\x01")
        until(lambda: len(line.recv(64, socket.MSG_PEEK)) > 5)


def test_the_line_is_cut_in_the_middle_of_a_job(printer: PrinterSimulator) -> None:
    """What came before is on paper, torn off, and the next job is whole."""
    printer.faults.cut_after = 9
    with connect(printer) as line:
        line.sendall(JOB)
        with pytest.raises(ConnectionError):
            while line.recv(64) or True:
                line.sendall(b" ")
    until(lambda: len(printer.slips) == 1)
    printer.faults.cut_after = 0
    send(printer, JOB)
    until(lambda: len(printer.slips) == 2)

    torn, whole = printer.slips
    assert (torn.is_cut, torn.sent.read_bytes()) == (False, JOB[:9])
    assert (whole.is_cut, whole.sent.read_bytes()) == (True, JOB)


def test_half_a_picture_does_not_swallow_the_next_job(printer: PrinterSimulator) -> None:
    send(printer, b"\x1b@A\n\x1dv0\x00\x10\x00\x10\x00abc")
    send(printer, JOB)
    until(lambda: len(printer.slips) == 2)

    torn, whole = printer.slips
    assert torn.complaints == ("the job ended within 1d 76 30 00",)
    assert whole.complaints == ()


def test_a_deaf_printer_reads_nothing(printer: PrinterSimulator) -> None:
    """What is sent stays on its way, until nothing more can be."""
    printer.faults.is_deaf = True
    with connect(printer) as line:
        line.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                line.sendall(b" " * 65_536)
    assert printer.slips == []


def test_a_slow_printer_takes_its_time(printer: PrinterSimulator) -> None:
    printer.faults.bytes_per_s = len(JOB)
    started = time.monotonic()
    with connect(printer) as line:
        line.sendall(JOB + BARRIER)
        assert answer(line, WAIT_S) == b"\x00"
    assert time.monotonic() - started >= 0.8


def test_a_printer_that_is_off_takes_no_connection_and_forgets(
    printer: PrinterSimulator,
) -> None:
    """And is back at the same port when it is on again."""
    printer.faults.paper = "end"
    with connect(printer) as line:
        line.sendall(JOB)
        until(lambda: printer.waiting > 0)
        printer.faults.refuses = True
        until(lambda: printer.waiting == 0)
        with pytest.raises(ConnectionError):
            line.recv(1)
    with pytest.raises(ConnectionError):
        connect(printer)

    printer.faults.switch({"refuses": False, "paper": "ok"})
    until(lambda: is_on(printer))
    send(printer, JOB)
    until(lambda: len(printer.slips) == 1)


def test_two_senders_are_served_one_after_the_other(printer: PrinterSimulator) -> None:
    with connect(printer) as first, connect(printer) as second:
        first.sendall(JOB[:9])
        second.sendall(JOB)
        time.sleep(0.1)
        first.sendall(JOB[9:] + BARRIER)
        assert answer(first, WAIT_S) == b"\x00"
        assert len(printer.slips) == 1
        first.close()
        until(lambda: len(printer.slips) == 2)
    assert [one.text for one in printer.slips] == ["Nomor A-012"] * 2


def test_noise_ends_nothing(printer: PrinterSimulator) -> None:
    """A browser that came to the wrong door, a picture that is too large, and any bytes at all."""
    send(printer, b"GET / HTTP/1.1\r\n\r\n")
    send(printer, b"\x1dv0\x00\xff\xff\xff\xff" + b"\x00" * 200_000)
    send(printer, bytes(range(256)) * 50)
    send(printer, JOB)
    until(lambda: printer.slips and printer.slips[-1].text == "Nomor A-012")


def test_slips_that_are_old_go(printer: PrinterSimulator) -> None:
    """Folder and memory are bounded."""
    send(printer, (b"A\n\x1dV\x00") * 310)
    until(lambda: printer.slips and printer.slips[-1].number == 310)

    assert len(printer.slips) == 300
    assert len(list(printer.slips[0].picture.parent.iterdir())) == 600


# The page beside it


def test_faults_are_switched_and_slips_seen_by_http(printer: PrinterSimulator) -> None:
    assert get(printer, "/address").decode() == printer.address == f"127.0.0.1:{printer.port}"
    assert b"<title>Simulator printer</title>" in get(printer, "/")
    assert post(printer, {"paper": "near_end", "width_mm": 58, "cut_after": 5000}) == 200
    with connect(printer) as line:
        line.sendall(JOB + BARRIER)
        assert answer(line, WAIT_S) == b"\x03"

    state = json.loads(get(printer, "/state"))
    assert (state["width_mm"], state["printed"], state["waiting"]) == (58, 1, 0)
    assert state["faults"]["paper"] == "near_end"
    assert state["slips"][0]["text"] == "Nomor A-012"
    assert get(printer, "/slips/1.bin") == JOB
    assert get(printer, "/slips/1.png").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "wanted",
    [
        {"paper": "gone"},
        {"paper": 1},
        {"is_silent": 1},
        {"cut_after": -1},
        {"cut_after": True},
        {"status": 1},
        {"width_mm": 76},
        [],
    ],
)
def test_a_fault_that_there_is_not_is_refused(printer: PrinterSimulator, wanted: object) -> None:
    before = printer.faults.as_dict()
    merged = {"is_deaf": True, **wanted} if isinstance(wanted, dict) else wanted

    assert post(printer, merged) == 422
    assert printer.faults.as_dict() == before


def test_another_sites_page_switches_nothing(printer: PrinterSimulator) -> None:
    assert post(printer, {"refuses": True}, Origin="http://example.com") == 404
    assert not printer.faults.refuses
    assert post(printer, {"is_silent": True}, Origin=printer.url) == 200


# Its life


def test_it_ends_and_lets_go_of_its_ports(tmp_path: Path) -> None:
    """Also with a sender on the line and nothing printed, and twice."""
    before = threading.active_count()
    printer = PrinterSimulator(tmp_path)
    printer.faults.paper = "end"
    with connect(printer) as line:
        line.sendall(JOB)
        printer.stop()
        printer.stop()
    again = PrinterSimulator(tmp_path, printer.port)
    again.stop()

    assert again.port == printer.port
    until(lambda: threading.active_count() <= before)


def test_it_takes_the_port_of_its_last_run(tmp_path: Path) -> None:
    """A printer that a demo was told of is found again; another's port is left alone."""
    first = PrinterSimulator(tmp_path)
    beside = PrinterSimulator(tmp_path)
    beside.stop()
    assert beside.port != first.port
    first.stop()

    with socket.create_server(("127.0.0.1", 0)):
        again = PrinterSimulator(tmp_path)
        again.stop()
    assert again.port == beside.port
    (tmp_path / "address").write_text("nonsense", "ascii")
    other = PrinterSimulator(tmp_path)
    other.stop()
    assert other.port > 0


def test_a_port_in_use_is_told(printer: PrinterSimulator, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="in use"):
        PrinterSimulator(tmp_path / "other", printer.port)
