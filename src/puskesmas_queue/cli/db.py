"""`db`: the database's schema."""

import click

from puskesmas_queue.cli.context import config_option, json_option, print_json, read_config
from puskesmas_queue.cli.database import make_folder, refuse_missing_file


@click.group()
@config_option
def db() -> None:
    """Upgrade and check the database."""


@db.command()
@config_option
def upgrade() -> None:
    """Bring the database to the state that this version needs."""
    config = read_config()
    make_folder(config)
    from puskesmas_queue.storage import migrate

    before = migrate.current(config.database.url)
    migrate.upgrade(config.database.url)
    after = migrate.current(config.database.url)
    click.echo(f"database is at {after}" if before != after else f"nothing to do: {after}")


@db.command()
@config_option
@json_option
def current(as_json: bool) -> None:
    """Show the state of the database and the one that this version needs."""
    config = read_config()
    refuse_missing_file(config)
    from puskesmas_queue.storage import migrate

    found, wanted = migrate.current(config.database.url), migrate.head()
    if as_json:
        print_json({"current": found, "head": wanted})
    else:
        click.echo(f"database: {found or 'empty'}\nprogram:  {wanted}")


@db.command()
@config_option
@json_option
def check(as_json: bool) -> None:
    """Compare every table with what this version expects; exit 1 where they differ."""
    config = read_config()
    refuse_missing_file(config)
    from puskesmas_queue.storage import migrate

    differences = migrate.check(config.database.url)
    if as_json:
        print_json({"differences": differences})
    else:
        click.echo("\n".join(differences) or "the database is as it should be")
    if differences:
        raise click.exceptions.Exit(1)
