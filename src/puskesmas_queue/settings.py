"""
What a process needs to start: the only reader of `puskesmas.toml` and of the environment.

A value is taken from `PUSKESMAS__SECTION__KEY` where that is set, else from the file, else it is
the default below. What a clinic changes from day to day is not here but in its database.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from puskesmas_queue.domain.days import ZONES
from puskesmas_queue.domain.errors import SetupError

CONFIG_NAME = "puskesmas.toml"
CONFIG_VARIABLE = "PUSKESMAS_CONFIG"
OVERRIDE_PREFIX = "PUSKESMAS__"
DEFAULT_DATABASE = "sqlite:///data/puskesmas.db"
LONGEST_NAME = 200
SHORTEST_TOKEN = 32
LOG_FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True)
class ClinicConfig:
    """Which clinic this is: `id` is the key of its rows, `zone` one of Indonesia's three."""

    id: str
    name: str
    zone: str = "Asia/Jakarta"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """
    Where the server listens.

    `public_url` is the address that phones reach: empty, the QR code on slip and screen holds
    the ticket's code only. `trusted_proxies` are addresses whose X-Forwarded-For is believed.
    With `tls_certificate` and `tls_key`, relative to `puskesmas.toml`, it speaks TLS on `port`.
    On `public_port`, 0 for none, it speaks plain HTTP and has what patients' phones see only.
    `metrics` says who may read `/metrics`: `local`, `token` (whoever has `metrics_token`) or `off`.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    allow_insecure: bool = False
    workers: int = 1
    trusted_proxies: tuple[str, ...] = ()
    tls_certificate: str = ""
    tls_key: str = ""
    public_port: int = 0
    log_format: str = "text"
    metrics: str = "local"
    metrics_token: str = field(default="", repr=False)

    @property
    def is_tls(self) -> bool:
        """Whether the server itself speaks TLS."""
        return bool(self.tls_certificate)


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """
    Where the data is; `url` is absolute after reading.

    `pooler` says that PgBouncer or the like stands between, so nothing is prepared there.
    """

    url: str = DEFAULT_DATABASE
    pooler: bool = False

    @property
    def is_sqlite(self) -> bool:
        """Whether the data is a file of this machine, with one server process."""
        return self.url.startswith("sqlite:")

    @property
    def file(self) -> Path | None:
        """The SQLite file, None on PostgreSQL."""
        return Path(self.url.removeprefix("sqlite:///")) if self.is_sqlite else None


@dataclass(frozen=True, slots=True)
class SecurityConfig:
    """
    How long a login lasts, without a touch and in all, and where the key of secrets is.

    `key_file` is relative to `puskesmas.toml`; a clinic that keeps no secret needs none.
    """

    session_idle_minutes: int = 30
    session_max_hours: int = 12
    key_file: str = "secret.key"


@dataclass(frozen=True, slots=True)
class PluginsConfig:
    """Which installed plugins are used: decisions ask them in the order of `active`."""

    active: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Everything of `puskesmas.toml`; `path` is that file, absolute."""

    path: Path
    clinic: ClinicConfig
    server: ServerConfig = field(default_factory=ServerConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    security: SecurityConfig = field(default_factory=SecurityConfig)
    plugins: PluginsConfig = field(default_factory=PluginsConfig)

    @property
    def folder(self) -> Path:
        """Relative paths of the file start here."""
        return self.path.parent

    @property
    def key_path(self) -> Path:
        """The file with the key of stored secrets."""
        return self.folder / self.security.key_file

    @property
    def tls_paths(self) -> tuple[Path, Path] | None:
        """Certificate and key of the server, None where it speaks plain HTTP."""
        server = self.server
        if not server.is_tls:
            return None
        return self.folder / server.tls_certificate, self.folder / server.tls_key

    @property
    def staff_url(self) -> str:
        """
        The address that staff reach, as far as it is known here.

        Where phones have a port of their own, `public_url` is theirs: staff pages are not there.
        """
        server = self.server
        if server.public_url and not server.public_port:
            return server.public_url.rstrip("/")
        host = urlsplit(server.public_url).hostname if server.is_tls else None
        scheme = "https" if server.is_tls else "http"
        return f"{scheme}://{host or server.host}:{server.port}"


S = TypeVar("S", ClinicConfig, ServerConfig, DatabaseConfig, SecurityConfig, PluginsConfig)
SECTIONS: dict[
    str, type[ClinicConfig | ServerConfig | DatabaseConfig | SecurityConfig | PluginsConfig]
] = {
    "clinic": ClinicConfig,
    "server": ServerConfig,
    "database": DatabaseConfig,
    "security": SecurityConfig,
    "plugins": PluginsConfig,
}


def find_config(given: str | Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Say which file is meant: the one given, else PUSKESMAS_CONFIG, else ./puskesmas.toml."""
    return Path(given or environ.get(CONFIG_VARIABLE) or CONFIG_NAME).absolute()


def load_config(given: str | Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """
    Read the configuration.

    Args:
        given: The file that was named, if any.
        environ: Overrides, `PUSKESMAS__SECTION__KEY`.

    Raises:
        SetupError: No such file, not TOML, an unknown name or a value that cannot be.
    """
    path = find_config(given, environ)
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise SetupError(
            f"no configuration at {path}: make one with puskesmas-queue init"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"cannot read {path}: {error}") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path} is not valid TOML: {error}") from None
    return build_config(path, document, environ)


def build_config(path: Path, document: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """Check a parsed file together with its overrides; errors as in `load_config`."""
    given: dict[str, dict[str, object]] = {name: {} for name in SECTIONS}
    for name, section in document.items():
        _known("section", name, SECTIONS, str(path))
        if not isinstance(section, dict):
            raise SetupError(f"{path}: {name} must be a section, [{name}]")
        for key, value in section.items():
            _known("setting", f"{name}.{key}", _names(), str(path))
            given[name][key] = value
    for name, key, value in _overrides(environ):
        given[name][key] = value
    config = Config(
        path=path,
        clinic=_section(ClinicConfig, "clinic", given["clinic"]),
        server=_section(ServerConfig, "server", given["server"]),
        database=_section(DatabaseConfig, "database", given["database"]),
        security=_section(SecurityConfig, "security", given["security"]),
        plugins=_section(PluginsConfig, "plugins", given["plugins"]),
    )
    _check(config)
    database = DatabaseConfig(
        absolute_url(config.database.url, path.parent), config.database.pooler
    )
    return replace(config, database=database)


def absolute_url(url: str, folder: Path) -> str:
    """
    Check a database address and make a SQLite path absolute.

    Raises:
        SetupError: Neither `sqlite:///path` nor `postgresql://…`.
    """
    if url.startswith("sqlite:///") and url != "sqlite:///" and ":memory:" not in url:
        return f"sqlite:///{(folder / url.removeprefix('sqlite:///')).as_posix()}"
    try:
        parts = urlsplit(url)
        is_whole = parts.port != 0 and parts.path.strip("/") != ""
    except ValueError:
        is_whole = False
    if url.startswith("postgresql://") and is_whole:
        return url
    raise SetupError(
        f'database.url "{without_password(url)}" is neither sqlite:///path '
        "nor postgresql://user@host/name"
    )


def overriding_variable(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Name the environment variable that overrides a setting such as `plugins.active`, if any."""
    wanted = OVERRIDE_PREFIX + name.upper().replace(".", "__")
    return next((variable for variable in environ if variable.upper() == wanted), None)


def without_password(url: str) -> str:
    """Show an address without what follows the colon of its user."""
    url = re.sub(r"(://[^/@:]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", url)


def _overrides(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    found = []
    for variable, value in environ.items():
        if not variable.upper().startswith(OVERRIDE_PREFIX):
            continue
        name = variable[len(OVERRIDE_PREFIX) :].lower().replace("__", ".", 1)
        _known("setting", name, _names(), f"environment variable {variable}")
        section, key = name.split(".")
        found.append((section, key, value))
    return found


def _names() -> list[str]:
    return [f"{name}.{item.name}" for name, kind in SECTIONS.items() for item in fields(kind)]


def _known(kind: str, name: str, known: Mapping[str, object] | list[str], where: str) -> None:
    if name in known:
        return
    nearest = get_close_matches(name, list(known), n=1, cutoff=0.4)
    hint = f'; did you mean "{nearest[0]}"?' if nearest else ""
    raise SetupError(f'{where}: unknown {kind} "{name}"{hint}')


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value.strip()


def _number(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip()):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number")
    return value


def _flag(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list):
        raise ValueError("a list of texts")
    return tuple(_text(part) for part in value)


_READERS: dict[object, Callable[[object], object]] = {
    str: _text,
    int: _number,
    bool: _flag,
    tuple[str, ...]: _texts,
}


def _section(kind: type[S], name: str, given: Mapping[str, object]) -> S:
    values: dict[str, Any] = {}
    for item in fields(kind):
        if item.name in given:
            try:
                values[item.name] = _READERS[item.type](given[item.name])
            except ValueError as error:
                raise SetupError(f"{name}.{item.name} must be {error}") from None
        elif item.default is MISSING:
            raise SetupError(f"{name}.{item.name} is missing")
    return kind(**values)


def _check(config: Config) -> None:
    clinic, server, security = config.clinic, config.server, config.security
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", clinic.id):
        raise SetupError("clinic.id must be 1 to 40 small letters, digits and hyphens")
    if not clinic.name:
        raise SetupError("clinic.name is empty")
    if len(clinic.name) > LONGEST_NAME or not clinic.name.isprintable():
        raise SetupError(f"clinic.name must be one line of up to {LONGEST_NAME} characters")
    if clinic.zone not in ZONES:
        raise SetupError(f'clinic.zone cannot be "{clinic.zone}": expected {", ".join(ZONES)}')
    _check_server(server)
    if server.log_format not in LOG_FORMATS:
        raise SetupError(f"server.log_format must be {' or '.join(LOG_FORMATS)}")
    if server.metrics not in ("local", "token", "off"):
        raise SetupError("server.metrics must be local, token or off")
    if server.metrics == "token" and len(server.metrics_token) < SHORTEST_TOKEN:
        raise SetupError(
            f"server.metrics_token must have {SHORTEST_TOKEN} characters or more, drawn at random"
        )
    if not 1 <= security.session_idle_minutes <= 24 * 60:
        raise SetupError("security.session_idle_minutes must be 1 to 1440")
    if not 1 <= security.session_max_hours <= 7 * 24:
        raise SetupError("security.session_max_hours must be 1 to 168")
    if not security.key_file:
        raise SetupError("security.key_file is empty")


def _check_server(server: ServerConfig) -> None:
    if not 0 <= server.port <= 65535:
        raise SetupError("server.port must be 0 to 65535")
    if not 0 <= server.public_port <= 65535:
        raise SetupError("server.public_port must be 0 (none) to 65535")
    if server.public_port and server.public_port == server.port:
        raise SetupError("server.public_port and server.port cannot be the same")
    if bool(server.tls_certificate) != bool(server.tls_key):
        raise SetupError("server.tls_certificate and server.tls_key go together: give both or none")
    if not 1 <= server.workers <= 64:
        raise SetupError("server.workers must be 1 to 64")
    if server.public_url and urlsplit(server.public_url).scheme not in ("http", "https"):
        raise SetupError("server.public_url must begin with https:// or http://")
