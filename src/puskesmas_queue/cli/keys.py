"""`keys`: the file with the keys of stored secrets and of programs' tokens."""

import click

from puskesmas_queue.cli.context import config_option, read_config
from puskesmas_queue.domain.errors import SetupError


@click.group()
@config_option
def keys() -> None:
    """Make the key file of stored secrets."""


@keys.command()
@config_option
def create() -> None:
    """
    Make a key file where there is none.

    `init` makes one; this is for a clinic that lost its own and has no copy: secrets that were
    stored with it cannot be read again.
    """
    path = read_config().key_path
    from puskesmas_queue.storage.crypto import make_key_file

    try:
        make_key_file(path)
    except FileExistsError:
        raise SetupError(f"{path} exists already and was left as it is") from None
    except OSError as error:
        raise SetupError(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"made {path}: keep a copy of it in a safe place, not among the backups")
