"""
The side of a process that speaks: load, say so, then answer one question after the other.

It ends with its server, also where that one was killed: then its standard input ends.
Standard library only, see `frames`.
"""

import io
import json
import os
import queue
import signal
import sys
import threading
import wave
from collections.abc import Callable
from typing import IO

from puskesmas_queue_tts.frames import (
    FAILURE,
    QUESTION,
    READY,
    SOUND,
    BadFrame,
    read_frame,
    write_frame,
)

Say = Callable[[str, str, float], bytes]
"""Speaks a text in a language at a speed; returns a WAV file."""


def serve(load: Callable[[], Say]) -> None:
    """
    Load a voice and answer questions with it, until standard input ends.

    Args:
        load: What it raises is told to the server, and the process ends.
    """
    # The server decides when this ends; Ctrl-C in a terminal reaches every process there.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _own_stdout()
    questions: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(questions,), daemon=True).start()
    try:
        say = load()
    except Exception as error:  # noqa: BLE001 - the server tells people
        write_frame(answers, FAILURE, _line(error))
        return
    write_frame(answers, READY)
    while True:
        asked = json.loads(questions.get())
        try:
            kind, content = SOUND, say(asked["text"], asked["language"], asked["speed"])
        except Exception as error:  # noqa: BLE001 - the server tells people
            kind, content = FAILURE, _line(error)
        write_frame(answers, kind, content)


def wav_file(samples: bytes, rate: int) -> bytes:
    """Make a WAV file of 16-bit mono samples."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return buffer.getvalue()


def _own_stdout() -> IO[bytes]:
    """Keep the pipe for frames: what a library prints goes where errors go."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return pipe


def _listen(questions: "queue.SimpleQueue[bytes]") -> None:
    while True:
        try:
            frame = read_frame(sys.stdin.buffer)
        except BadFrame:
            frame = None
        if frame is None or frame[0] != QUESTION:
            # Not `sys.exit`: a sentence that is being computed would be waited for.
            os._exit(0)
        questions.put(frame[1])


def _line(error: Exception) -> bytes:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300].encode()
