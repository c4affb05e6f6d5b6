"""
The process in which eSpeak NG speaks; run by the server.

eSpeak NG is under the GPL; its library is loaded in this process only.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import espeakng_loader

from puskesmas_queue_tts.child import Say, serve, wav_file

WORDS_A_MINUTE = 145
"""At speed 1; eSpeak's own 175 are hard to follow across a hall."""
SLOWEST, FASTEST = 80, 450
_VOICES = {"id": b"id", "en": b"en"}
# Names and values of espeak-ng/speak_lib.h, version 1.52.
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_RATE = 1
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def load() -> Say:
    """Load the library and its data."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    sampling_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT)
    if sampling_rate <= 0:
        raise RuntimeError(f"its data cannot be read: {data.decode()}")
    samples = bytearray()

    def collect(wav: Any, length: int, events: object) -> int:
        if wav and length:
            samples.extend(ctypes.string_at(wav, length * 2))
        return 0

    callback = _Callback(collect)
    library.espeak_SetSynthCallback(callback)

    def say(text: str, language: str, speed: float) -> bytes:
        # What the library calls must not be let go.
        assert callback is not None
        samples.clear()
        rate = max(SLOWEST, min(FASTEST, round(WORDS_A_MINUTE * speed)))
        _check(library.espeak_SetVoiceByName, _VOICES[language])
        _check(library.espeak_SetParameter, _RATE, rate, 0)
        encoded = text.encode() + b"\0"
        _check(
            library.espeak_Synth,
            encoded,
            ctypes.c_size_t(len(encoded)),
            0,
            _POS_CHARACTER,
            0,
            _CHARS_UTF8,
            None,
            None,
        )
        if not samples:
            raise ValueError("there is nothing to say")
        return wav_file(bytes(samples), sampling_rate)

    say("nol", "id", 1.0)
    return say


def _check(function: Callable[..., int], *arguments: object) -> None:
    code = function(*arguments)
    if code != 0:
        raise RuntimeError(f"eSpeak answered {code}")


if __name__ == "__main__":
    serve(load)
