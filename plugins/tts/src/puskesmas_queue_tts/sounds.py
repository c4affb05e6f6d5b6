"""
What was spoken before, in files: a call that is repeated, or a number of every day, costs nothing.

Each file is a WAV with its own digest behind it, so that one that a power cut left half written
is made anew. Any process of the clinic may read, write and delete beside the others.
"""

import hashlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DIGEST_BYTES = 32
LOOK_EVERY = 64
"""Files are counted anew after so many were written: other processes write too."""
ROOM = 0.9
"""How much of the limit is left full, so that not every new file has to make room again."""
FORGOTTEN_S = 3600.0
"""A half-written file of that age was left by a process that is no more."""
_HALF = ".part"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """
    How much is kept.

    Args:
        count: Files.
        size: Bytes of all of them.
    """

    count: int
    size: int


def key_of(fingerprint: str, speed: float, spoken: str) -> str:
    """
    Name a sound by all that it depends on.

    Args:
        fingerprint: Of the voice.
        speed: 1.0 is the voice's own.
        spoken: The text in words, as the voice is asked to speak it.
    """
    parts = (fingerprint, f"{speed:.2f}", spoken)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Sounds:
    """
    The sounds that a clinic keeps.

    Args:
        folder: Where; whoever writes first makes it.
        limit: Bytes of all files; the ones that were not used for longest go first.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._lock = threading.Lock()
        self._known = 0
        self._until_look = 0

    def find(self, key: str) -> bytes | None:
        """Return a WAV file, None where it is not there or damaged."""
        path = self._path(key)
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("kept sound %s: %s", path.name, error)
            return None
        sound, digest = found[:-DIGEST_BYTES], found[-DIGEST_BYTES:]
        if not sound or hashlib.sha256(sound).digest() != digest:
            log.warning("kept sound %s is damaged: it is made anew", path.name)
            _remove(path)
            return None
        with suppress(OSError):
            # When it was used last; another process may have deleted it just now.
            os.utime(path)
        return sound

    def has(self, key: str) -> bool:
        """Say whether there is such a file, without a look into it."""
        return self._path(key).is_file()

    def keep(self, key: str, sound: bytes) -> None:
        """
        Keep a WAV file, whole or not at all.

        Raises:
            OSError: The disk is full, or may not be written to.
        """
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f"{path.name}.{secrets.token_hex(6)}{_HALF}")
        try:
            with half.open("xb") as file:
                file.write(sound + hashlib.sha256(sound).digest())
                file.flush()
                os.fsync(file.fileno())
            half.replace(path)
        except BaseException:
            _remove(half)
            raise
        self._make_room(len(sound) + DIGEST_BYTES)

    def state(self) -> State:
        """Count what is kept."""
        sizes = [size for _, size, _ in self._files()]
        return State(len(sizes), sum(sizes))

    def clear(self) -> None:
        """Delete everything that is kept."""
        with self._lock:
            for _, _, path in self._files():
                _remove(path)
            self._until_look = 0

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.wav"

    def _make_room(self, added: int) -> None:
        with self._lock:
            self._known += added
            self._until_look -= 1
            if self._known <= self.limit and self._until_look > 0:
                return
            files = sorted(self._files())
            self._known = sum(size for _, size, _ in files)
            self._until_look = LOOK_EVERY
            if self._known <= self.limit:
                return
            for _, size, path in files:
                if self._known <= self.limit * ROOM:
                    break
                _remove(path)
                self._known -= size

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Walk through the files with the time of their last use and their size, in bytes."""
        old = time.time() - FORGOTTEN_S
        for path in self.folder.glob("??/*"):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue  # another process made room
            if path.suffix == _HALF:
                if found.st_mtime < old:
                    _remove(path)
            else:
                yield found.st_mtime, found.st_size, path


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        # On Windows a file that somebody reads just now stays; the next look takes it.
        log.warning("kept sound %s: %s", path.name, error)
