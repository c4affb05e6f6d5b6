"""
The process in which Piper speaks; run by the server with a voice file and its description.

Piper is under the GPL and is imported in this process only.
"""

import json
import os
import re
import sys

import onnxruntime
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from puskesmas_queue_tts.child import Say, serve, wav_file

LONGEST_PIECE = 90
"""Characters computed at once: memory grows with them, to 350 MB here and to 800 MB for 400."""
MOST_THREADS = 2
"""The hall is on the same processor."""
_BREAKS = (re.compile(r"(?<=[.!?;:]) "), re.compile(r"(?<=,) "), re.compile(r" "))


def load() -> Say:
    """Load the voice whose file and description are this program's arguments."""
    model, description = sys.argv[1:]
    with open(description, encoding="utf-8") as file:  # noqa: PTH123 - few imports, quick start
        config = PiperConfig.from_dict(json.load(file))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(MOST_THREADS, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    # A thread that spins while it waits for the next sentence takes a core from the hall.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        model, sess_options=options, providers=["CPUExecutionProvider"]
    )
    voice = PiperVoice(session=session, config=config)

    def say(text: str, language: str, speed: float) -> bytes:
        # In double brackets Piper takes phonemes.
        plain = text.translate({ord("["): " ", ord("]"): " "})
        manner = SynthesisConfig(length_scale=config.length_scale / speed)
        samples = b"".join(
            chunk.audio_int16_bytes
            for piece in pieces(plain, LONGEST_PIECE)
            for chunk in voice.synthesize(piece, manner)
        )
        if not samples:
            raise ValueError("there is nothing to say")
        return wav_file(samples, config.sample_rate)

    # The first sentence takes longest: it is nobody's.
    say("nol", "id", 1.0)
    return say


def pieces(text: str, longest: int) -> list[str]:
    """Cut a text where a speaker would breathe: at sentences, then commas, then words."""
    for pattern in _BREAKS:
        if len(text) <= longest:
            break
        parts = pattern.split(text)
        if len(parts) > 1:
            return [one for part in _joined(parts, longest) for one in pieces(part, longest)]
    return [text[start : start + longest] for start in range(0, len(text), longest)]


def _joined(parts: list[str], longest: int) -> list[str]:
    """Put parts together again as far as they fit."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) <= longest:
            lines[-1] += f" {part}"
        else:
            lines.append(part)
    return lines


if __name__ == "__main__":
    serve(load)
