"""
What a plugin brings along, and what it may look at: pages, panels, checks, simulators, data.

Shapes only; `hookspecs` says which hook takes which.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from puskesmas_queue.domain.access import Permission, Role
from puskesmas_queue.domain.events import TicketFact

T = TypeVar("T")
SLOTS: Mapping[str, Permission] = {
    "counter.ticket": Permission.CALL,
    "dashboard": Permission.DAY_VIEW,
}
"""Where panels may be: below the ticket at a counter, and below the figures of the day."""

MAX_UPLOAD_BYTES = 10_000_000
"""The most that a plugin's page may take in files: they are held in memory."""


class SettingsReader(Protocol):
    """Reads the clinic's settings."""

    def get(self, key: str) -> Any:
        """Return the parsed value of a setting."""


class PluginData(Protocol):
    """
    A plugin's own tables.

    `do` is called with a `sqlalchemy.Connection` inside a transaction; what it returns is
    returned. Tables are made by the plugin's migrations and their names begin with the plugin's
    name and an underscore.
    """

    def read(self, do: Callable[[Any], T]) -> T:
        """
        Look something up.

        Raises:
            PluginDataUnavailable: The database cannot be reached, or a migration failed.
        """

    def write(self, do: Callable[[Any], T]) -> T:
        """
        Change something, all of it or nothing; one writer at a time on SQLite.

        Raises:
            PluginDataUnavailable: See `read`.
        """


@dataclass(frozen=True, slots=True)
class Context:
    """
    What every hook may look at beside its arguments.

    Args:
        clinic_id: Of this clinic; part of the key of every row.
        clinic_name: For people.
        settings: `settings.get("queue.priority_ratio")` and every other setting of the clinic.
        now: The clinic's clock, aware, in UTC.
        zone: The clinic's zone, which need not be that of the computer.
        config: The plugin's own settings, an instance of the model that its `register_settings`
            gave; None where it has none or cannot have them.
        data: Its own tables; None in decisions and vetoes, which do no I/O, and where it brings
            no migrations.
        folder: Where it keeps files, `plugins/<name>` beside `puskesmas.toml`; whoever writes
            there first makes it. None in decisions and vetoes.
    """

    clinic_id: str
    clinic_name: str
    settings: SettingsReader
    now: datetime
    zone: tzinfo
    config: Any = None
    data: PluginData | None = None
    folder: Path | None = None

    @property
    def local_now(self) -> datetime:
        """What the clinic's clocks show, aware, in the clinic's zone."""
        return self.now.astimezone(self.zone)


# Pages


@dataclass(frozen=True, slots=True)
class PluginUser:
    """
    Who asks for a page.

    Args:
        id: Of the account.
        name: As colleagues know them.
        role: What the account is for.
    """

    id: int
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class PluginFile:
    """
    A file that was sent with a form.

    Args:
        name: As it is called where it came from, without folders; up to 200 characters.
        media_type: What the browser says that it is; only its content tells.
        content: All of it.
    """

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class PluginRequest:
    """
    A request for a plugin's page or panel.

    Args:
        method: `GET` or `POST`.
        path: The page's path below `/x/<plugin>`, such as `/rooms/3`.
        values: What stood in the path's braces.
        query: What stood behind the question mark, the last of each name.
        form: What was sent, the last of each name.
        language: `id` or `en`.
        user: Who is logged in; None where the page asks for nobody.
        ticket: The ticket at the counter, for a panel of `counter.ticket`.
        counter: The counter that this ticket is at, for a panel of `counter.ticket`.
        files: That were chosen in the form, the last of each name, where the route takes any.
    """

    method: str
    path: str
    values: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    language: str
    user: PluginUser | None
    ticket: TicketFact | None = None
    counter: int | None = None
    files: Mapping[str, PluginFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TemplateAnswer:
    """
    A template of the plugin's folder `templates/`, filled in.

    A page extends `plugin/page.html` and fills its blocks `title` and `content`; a panel is a
    piece of HTML. Everything is escaped; `_("…")` looks into the plugin's catalogues. A name that
    is in no value is an error.

    Args:
        template: Its name, `calls.html` say.
        values: What it says by name.
        status: The HTTP status; 422 for a form that has to be filled in again.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """
    Anything else: JSON, CSV, plain text.

    Args:
        content: What is sent; a text in UTF-8.
        media_type: What it is.
        status: The HTTP status.
    """

    content: str | bytes
    media_type: str = "text/plain; charset=utf-8"
    status: int = 200


@dataclass(frozen=True, slots=True)
class RedirectAnswer:
    """
    Another page of this server, after a form was sent say.

    Args:
        path: `/loket` or another page of the core, or one below the plugin's own `/x/<plugin>`,
            with what stands behind `?` and `#`.
    """

    path: str


Answer = TemplateAnswer | TextAnswer | RedirectAnswer
PageHandler = Callable[[PluginRequest, Context], Answer]


@dataclass(frozen=True, slots=True)
class PluginRoute:
    """
    A page below `/x/<plugin>`.

    Args:
        path: `/` or `/rooms/{number}`.
        handler: Sync, 10 s.
        permission: What it asks for.
        methods: `GET`, `POST` or both.
        max_upload_bytes: How much the files of a form may hold together, up to 10,000,000; 0 where
            it takes none.
    """

    path: str
    handler: PageHandler
    permission: Permission
    methods: tuple[str, ...] = ("GET",)
    max_upload_bytes: int = 0


@dataclass(frozen=True, slots=True)
class NavItem:
    """
    A link in the navigation of staff.

    Args:
        label: What it says, looked up in the plugin's catalogues.
        path: Of a page of the plugin's own, as its route says it.
        permission: Who sees it.
    """

    label: str
    path: str
    permission: Permission


@dataclass(frozen=True, slots=True)
class Panel:
    """
    A piece of a core page, loaded by the page after it was shown.

    Args:
        slot: `counter.ticket`, below the ticket at a counter, for whoever has `CALL`; or
            `dashboard`, below the figures of the day, for `DAY_VIEW`.
        name: Small letters, digits and hyphens; part of its address.
        title: Its heading.
        handler: Sync, 10 s; answers with a template or `text/html`.
    """

    slot: str
    name: str
    title: str
    handler: PageHandler


# Providers


@dataclass(frozen=True, slots=True)
class Slip:
    """
    What stands on the paper: nothing that tells who somebody is, and no reason of priority.

    Args:
        ticket: Whose number it is.
        clinic_name: For its head.
        clinic_address: Below it; may be empty.
        issued_at: When it was taken, in the clinic's zone.
        people_ahead: How many are called before; None where the ticket waits no more.
        estimate_minutes: How long that will take; None where nobody knows.
        status_url: What the QR code holds, the ticket's code where there is no address.
        language: `id` or `en`.
        place: Where it is asked for.
        place_name: The name that the kiosk was paired under, its zone where it was not paired; or
            the counter's number, empty where staff print from no counter.
        job: 16 to 64 letters, digits, `-` and `_`: the same when a page asks again since the
            answer was lost, another one for each tap of the button that prints again.
        unit_name: The unit's name in the slip's language.
        room: Where the unit is; may be empty.
        counter_opens: `07:30` where nobody knows how long it takes since no counter is open yet.
    """

    ticket: TicketFact
    clinic_name: str
    clinic_address: str
    issued_at: datetime
    people_ahead: int | None
    estimate_minutes: int | None
    status_url: str
    language: str
    place: Literal["kiosk", "counter"]
    place_name: str
    job: str
    unit_name: str = ""
    room: str = ""
    counter_opens: str | None = None


@dataclass(frozen=True, slots=True)
class Printed:
    """
    How a slip fared.

    Args:
        state: `printed`: the paper is out. `by_page`: the page that shows the number prints it.
            `unsure`: it may be out, and is not printed a second time by itself. `failed`: it is
            not out; the next printer is asked.
        detail: Why, for staff: a short text that is looked up in the plugin's catalogues, "kertas
            habis" say. With `printed` it says what they should see to all the same; empty: all is
            well.
    """

    state: Literal["printed", "by_page", "unsure", "failed"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Printer:
    """
    Something that prints slips, chosen by its name in the setting `kiosk.printers`.

    Args:
        name: Small letters, digits and hyphens.
        print_slip: Sync, 10 s.
    """

    name: str
    print_slip: Callable[[Slip, Context], Printed]


@dataclass(frozen=True, slots=True)
class Utterance:
    """
    What is to be said.

    Args:
        parts: Whom a call is for and where to go, so that a voice can keep each of them; or the
            one text of a page that is read aloud.
        language: `id` or `en`.
        zone: The hall in which it is heard.
        kind: `call`: spoken by the TV. `page`: a page of the kiosk, read to whoever stands there;
            up to 600 characters in whole sentences, the same each time but for a ticket's page.
    """

    parts: tuple[str, ...]
    language: str
    zone: str
    kind: Literal["call", "page"]


@dataclass(frozen=True, slots=True)
class Speech:
    """
    How something sounds.

    Args:
        sound: Sound files that browsers play (WAV, MP3, Ogg), one after the other; empty: the
            page speaks with the browser's own voice.
        media_type: Of each, `audio/wav` say.
        has_chime: Whether the sound begins with a chime of its own: the TV makes none then.
    """

    sound: tuple[bytes, ...] = ()
    media_type: str = "audio/wav"
    has_chime: bool = False


@dataclass(frozen=True, slots=True)
class Announcer:
    """
    Something that speaks, chosen by its name in the setting `display.announcers`.

    Args:
        name: Small letters, digits and hyphens.
        speak: Sync, 1 s for a call and 5 s for a page: then the next announcer is asked.
    """

    name: str
    speak: Callable[[Utterance, Context], Speech]


# Checks, simulators


@dataclass(frozen=True, slots=True)
class Health:
    """
    How something stands.

    Args:
        state: `ok`; `note` is worth knowing; `wrong` needs somebody.
        text: One line that says what; the page looks it up in the plugin's catalogues.
        values: What stands in it in place of `%(name)s`: texts and numbers by name.
    """

    state: Literal["ok", "note", "wrong"]
    text: str
    values: Mapping[str, str | int | float] = field(default_factory=dict)

    def line(self, told: Callable[[str], str] = str) -> str:
        """
        Return the whole line.

        Args:
            told: Says a text in the reader's language; none leaves it as it is.

        Raises:
            KeyError, TypeError, ValueError: Text and values do not fit.
        """
        return told(self.text) % self.values if self.values else told(self.text)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """
    Something that `doctor` and the page of plugins look at.

    Args:
        name: What is looked at, for people.
        check: Sync, 5 s.
    """

    name: str
    check: Callable[[Context], Health]


class RunningSimulator(Protocol):
    """
    A simulator that runs.

    It may have `settings` too, texts by name: settings of its plugin with which that uses the
    simulator. A demo stores them at each start.
    """

    url: str
    """Where it can be reached."""

    def stop(self) -> None:
        """End it and let go of its port."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """
    A stand-in for a plugin's foreign side, for `simulate NAME`, the demo and tests.

    Args:
        name: Small letters, digits and hyphens.
        start: Starts a real server on loopback: a folder of its own, and a port, 0 for any.
    """

    name: str
    start: Callable[[Path, int], RunningSimulator]
