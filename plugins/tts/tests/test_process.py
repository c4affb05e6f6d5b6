"""A process that speaks: order, death, silence, and its end with the server."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from puskesmas_queue_tts import process as processes
from puskesmas_queue_tts.engine import EngineFailed, EngineStarting
from puskesmas_queue_tts.process import SpeakingProcess

CHILD = """
import os, sys, time
from pathlib import Path
from puskesmas_queue_tts.child import serve

folder = Path(__file__).parent

def load():
    print("a library greets the world")
    if "broken" in sys.argv:
        raise RuntimeError("no such\\nvoice")
    if "slow" in sys.argv:
        time.sleep(3)
    def say(text, language, speed):
        if text == "die":
            os._exit(7)
        if text == "hang":
            time.sleep(60)
        if text == "wrong":
            raise ValueError("what is that")
        if text == "print":
            print("x" * 100_000, flush=True)
            os.write(1, b"y" * 100)
        if text == "environment":
            return ",".join(sorted(os.environ)).encode()
        if text.startswith("wait"):
            time.sleep(float(text.split()[1]))
        with (folder / "said").open("a") as said:
            print(text, file=said)
        while text == "gate" and not (folder / "open").exists():
            time.sleep(0.01)
        return f"{text} {language} {speed}".encode()
    return say

serve(load)
"""


URGENT_S, PATIENT_S, LEISURELY_S = 50.0, 60.0, 70.0
"""Who has more than the second of them has time; none of them passes in a test."""


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Begins processes that speak nonsense; each is ended afterwards."""
    (tmp_path / "child_of_test.py").write_text(CHILD)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    made = []

    def one(*arguments: str, is_awaited: bool = True) -> SpeakingProcess:
        process = SpeakingProcess("uji", "child_of_test", arguments)
        made.append(process)
        process.start()
        if is_awaited:
            assert process.wait_ready(60)
        return process

    yield one
    pids = [process.pid for process in made]
    for process in made:
        process.stop()
    assert not any(is_alive(pid) for pid in pids if pid is not None)


def is_alive(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be looked at."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ask(process: SpeakingProcess, text: str, deadline_s: float = 10.0) -> str:
    return process.ask(text, "id", 1.0, deadline_s).decode()


def test_it_stays_warm(begin):
    process = begin()
    pid = process.pid

    assert [ask(process, text) for text in ("satu", "dua")] == ["satu id 1.0", "dua id 1.0"]
    assert process.pid == pid


def test_what_a_library_prints_is_no_answer(begin):
    process = begin()

    assert ask(process, "print") == "print id 1.0"
    assert ask(process, "satu") == "satu id 1.0"


@pytest.fixture
def order(begin, tmp_path, monkeypatch):
    """Asks all at once, in this order, while another sentence is being spoken."""
    monkeypatch.setattr(processes, "PATIENT_S", PATIENT_S)

    def said_of(questions: list[tuple[str, float]]) -> tuple[list[str], list[str]]:
        process = begin()
        said = tmp_path / "said"
        answers: dict[str, str] = {}

        def call(text: str, deadline_s: float) -> None:
            answers[text] = ask(process, text, deadline_s)

        threads = [threading.Thread(target=call, args=("gate", LEISURELY_S))]
        threads[0].start()
        until(said.exists)
        for number, question in enumerate(questions, start=1):
            threads.append(threading.Thread(target=call, args=question))
            threads[-1].start()
            until(lambda number=number: process._questions._waiting.qsize() == number)
        (tmp_path / "open").touch()
        for thread in threads:
            thread.join()
        return said.read_text().splitlines()[1:], [answers[text] for text, _ in questions]

    return said_of


def test_many_at_once_are_served_in_order(order):
    """Two calls in one moment, and more: each gets its own sound, the first first."""
    texts = [str(number) for number in range(8)]

    said, answers = order([(text, URGENT_S) for text in texts])

    assert said == texts
    assert answers == [f"{text} id 1.0" for text in texts]


def test_who_has_time_lets_calls_go_first(order):
    """What is spoken in advance waits, but for the sentence that is being spoken."""
    said, _ = order([("later", LEISURELY_S), ("much later", LEISURELY_S), ("urgent", URGENT_S)])

    assert said == ["urgent", "later", "much later"]


def test_a_sentence_that_cannot_be_spoken_ends_nothing(begin):
    process = begin()
    pid = process.pid

    with pytest.raises(EngineFailed, match="ValueError: what is that"):
        ask(process, "wrong")
    assert ask(process, "satu") == "satu id 1.0"
    assert process.pid == pid


def test_one_that_dies_is_begun_again_later_each_time(begin, monkeypatch):
    """Until it spoke; whoever asks meanwhile hears why, at once."""
    monkeypatch.setattr(processes, "FIRST_PAUSE_S", 1.5)
    process = begin()
    for pause_s in (1.5, 3.0):
        asked = time.monotonic()
        with pytest.raises(EngineFailed, match="code 7"):
            ask(process, "die")
        due = process._due_s
        assert due >= asked + pause_s
        with pytest.raises(EngineFailed, match="code 7"):
            ask(process, "satu")
        assert process.wait_ready(60)
        assert time.monotonic() >= due

    assert ask(process, "satu") == "satu id 1.0"
    with pytest.raises(EngineFailed):
        ask(process, "die")
    assert process._pause_s == 1.5


def test_one_that_is_killed_while_nobody_asks_is_there_again(begin, monkeypatch):
    """The next call does not find out that it is dead."""
    monkeypatch.setattr(processes, "FIRST_PAUSE_S", 0.1)
    process = begin()
    pid = process.pid
    os.kill(pid, signal.SIGKILL)

    until(lambda: process.pid not in (None, pid))
    assert process.wait_ready(60)
    assert ask(process, "satu") == "satu id 1.0"


def test_one_that_is_killed_in_the_middle_answers_at_once(begin):
    process = begin()
    killer = threading.Timer(0.3, os.kill, (process.pid, signal.SIGKILL))
    killer.start()
    began = time.monotonic()

    with pytest.raises(EngineFailed, match="it ended with code -9"):
        ask(process, "hang", 50.0)

    killer.join()
    assert time.monotonic() - began < 25


def test_one_that_hangs_is_ended(begin, monkeypatch):
    """Whoever asked waits for the deadline only; the next life answers."""
    monkeypatch.setattr(processes, "HANG_S", 0.5)
    monkeypatch.setattr(processes, "FIRST_PAUSE_S", 0.1)
    process = begin()
    pid = process.pid

    began = time.monotonic()
    with pytest.raises(EngineFailed, match="too slow"):
        ask(process, "hang", 0.2)
    assert time.monotonic() - began < 25
    until(lambda: process.pid not in (None, pid))
    assert not is_alive(pid)
    assert process.wait_ready(60)
    assert ask(process, "satu") == "satu id 1.0"


def test_a_late_sentence_is_not_the_answer_to_the_next(begin):
    process = begin()

    with pytest.raises(EngineFailed, match="too slow"):
        ask(process, "wait 2", 0.1)
    assert ask(process, "satu") == "satu id 1.0"


def test_who_gave_up_is_not_spoken_for(begin, tmp_path):
    """A question whose time was over before its turn costs nothing."""
    process = begin()
    first = threading.Thread(target=ask, args=(process, "gate", 60.0))
    first.start()
    until((tmp_path / "said").exists)

    with pytest.raises(EngineFailed, match="too slow"):
        ask(process, "die", 0.1)
    (tmp_path / "open").touch()
    first.join()
    assert ask(process, "satu") == "satu id 1.0"


def test_one_that_loads_says_so(begin):
    process = begin("slow", is_awaited=False)

    with pytest.raises(EngineStarting):
        ask(process, "satu", 0.2)
    assert ask(process, "satu") == "satu id 1.0"


def test_one_that_cannot_load_says_why_in_a_line(begin):
    process = begin("broken", is_awaited=False)
    until(lambda: process._why)

    with pytest.raises(EngineFailed, match="RuntimeError: no such voice"):
        ask(process, "satu")
    assert not process.wait_ready(0)


def test_a_module_that_is_not_there(tmp_path):
    process = SpeakingProcess("uji", "no_such_module")
    process.start()
    until(lambda: process._why)
    with pytest.raises(EngineFailed, match="it ended with code 1"):
        ask(process, "satu")
    process.stop()


def test_who_waits_is_told_at_the_end(begin):
    process = begin()
    failures = []

    def call(text: str) -> None:
        try:
            ask(process, text, 50.0)
        except EngineFailed as error:
            failures.append(str(error))

    threads = [threading.Thread(target=call, args=(text,)) for text in ("hang", "satu", "dua")]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    began = time.monotonic()
    process.stop()
    for thread in threads:
        thread.join()

    assert time.monotonic() - began < 25
    assert len(failures) == 3
    with pytest.raises(EngineFailed, match="it was ended"):
        ask(process, "satu")


def test_one_that_never_began_can_be_stopped():
    process = SpeakingProcess("uji", "no_such_module")
    process.stop()
    with pytest.raises(EngineFailed, match="it was ended"):
        ask(process, "satu")


def test_the_process_sees_nothing_of_the_configuration(begin, monkeypatch):
    monkeypatch.setenv("PUSKESMAS__DATABASE__URL", "postgresql://secret")
    monkeypatch.setenv("SOMETHING", "else")
    names = ask(begin(), "environment").split(",")

    assert "SOMETHING" in names
    assert not [name for name in names if name.startswith("PUSKESMAS")]


@pytest.mark.parametrize("text", ["satu", "hang"])
def test_it_ends_with_a_server_that_is_killed(begin, tmp_path, text):
    """Even in the middle of a sentence: nobody is left to end it."""
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import threading, time\n"
            "from puskesmas_queue_tts.process import SpeakingProcess\n"
            "process = SpeakingProcess('uji', 'child_of_test')\n"
            "process.start(); process.wait_ready(60)\n"
            f"ask = lambda: process.ask({text!r}, 'id', 1.0, 60.0)\n"
            "threading.Thread(target=ask, daemon=True).start()\n"
            "time.sleep(0.3); print(process.pid, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    assert is_alive(pid)

    server.kill()
    server.wait()
    server.stdout.close()

    until(lambda: not is_alive(pid))
