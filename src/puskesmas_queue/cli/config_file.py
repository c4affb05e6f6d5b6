"""Changes `puskesmas.toml` as a careful person would: comments and order stay."""

import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.settings import Config, build_config


def set_active(config: Config, active: Sequence[str]) -> None:
    """
    Write which plugins are active into the file of a configuration.

    Args:
        config: As it was read.
        active: All names, in order.

    Raises:
        SetupError: The file cannot be written, or only by hand.
    """
    _change(
        config,
        "plugins.active",
        lambda text: with_active(text, active),
        lambda written: written.plugins.active == tuple(active),
    )


def set_server(config: Config, values: Mapping[str, str]) -> bool:
    """
    Write texts into the section of the server.

    Args:
        config: As it was read.
        values: By key.

    Returns:
        Whether anything had to be changed.

    Raises:
        SetupError: The file cannot be written, or only by hand.
    """

    def is_so(one: Config) -> bool:
        return all(getattr(one.server, key) == value for key, value in values.items())

    if is_so(config):
        return False
    names = " and ".join(f"server.{key}" for key in values)
    _change(config, names, lambda text: with_server(text, values), is_so)
    return True


def _change(
    config: Config,
    what: str,
    change: Callable[[str], str],
    is_so: Callable[[Config], bool],
) -> None:
    from tomlkit.exceptions import TOMLKitError

    by_hand = SetupError(f"{what} of {config.path} has to be changed by hand")
    try:
        changed = change(config.path.read_bytes().decode())
        # Never leave a file behind with which the server would not start.
        if not is_so(build_config(config.path, tomllib.loads(changed), os.environ)):
            raise by_hand
        replace_file(config.path, changed)
    except TOMLKitError:
        raise by_hand from None
    except OSError as error:
        raise SetupError(f"cannot write {config.path}: {error.strerror}") from error


def with_server(text: str, values: Mapping[str, str]) -> str:
    """Return the text of `puskesmas.toml` with values of the server set, all else as it was."""
    import tomlkit

    document = tomlkit.parse(text)
    section: Any = document.get("server")
    if section is None:
        section = tomlkit.table()
        if not text.endswith("\n\n"):
            document.add(tomlkit.nl())
        document.add("server", section)
    for key, value in values.items():
        section[key] = value
    return tomlkit.dumps(document)


def with_active(text: str, active: Sequence[str]) -> str:
    """Return the text of `puskesmas.toml` with `plugins.active` changed and all else as it was."""
    import tomlkit
    from tomlkit.items import Array

    document = tomlkit.parse(text)
    section: Any = document.get("plugins")
    if section is None:
        section = tomlkit.table()
        if not text.endswith("\n\n"):
            document.add(tomlkit.nl())
        document.add("plugins", section)
    names = section.get("active")
    if not isinstance(names, Array):
        names = tomlkit.array()
        section["active"] = names
    # Item by item, so that the comment of a name stays with it.
    for index in reversed(range(len(names))):
        if str(names[index]).strip() not in active:
            del names[index]
    there = {str(name).strip() for name in names}
    for name in active:
        if name not in there:
            names.append(name)
    return tomlkit.dumps(document)


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all; owner and permissions stay, and so does a link to it."""
    path = path.resolve()
    before = path.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, aside)
        if hasattr(os, "chown"):
            # Whoever runs this, root perhaps, the server must still be able to read it.
            with suppress(PermissionError):
                os.chown(aside, before.st_uid, before.st_gid)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
