"""Templates and texts: one Jinja environment per language, nothing cached per request."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import segno
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from jinja2 import BaseLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from puskesmas_queue import __version__
from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.announcements import spell_digits
from puskesmas_queue.domain.printers import PrinterAlert
from puskesmas_queue.logs import REQUEST_ID
from puskesmas_queue.services.printer_alerts import alerts
from puskesmas_queue.services.voices import voice_trouble

if TYPE_CHECKING:
    from puskesmas_queue.domain.access import Principal
    from puskesmas_queue.web.page import Page
    from puskesmas_queue.web.plugin_screens import NavLink, PanelPlace, PluginScreens

LANGUAGES = (("id", "Bahasa Indonesia"), ("en", "English"))
DEFAULT_LANGUAGE = "id"
FOLDER = Path(str(files("puskesmas_queue.web")))
STATIC = FOLDER / "static"
TEMPLATES = FileSystemLoader(FOLDER / "templates")


class Rendering:
    """
    Renders the pages of one clinic.

    Args:
        clinic: Whose name, settings and clock the pages show.
        is_demo: Whether the demo's links and hints are shown.
    """

    languages = LANGUAGES

    def __init__(self, clinic: Clinic, *, is_demo: bool = False) -> None:
        self.clinic = clinic
        self.is_demo = is_demo
        self.screens: PluginScreens | None = None
        self._hashes: dict[str, str] = {}
        self.translations = {code: _translations(code) for code, _ in LANGUAGES}
        self._environments = {
            code: self.environment(code, TEMPLATES, self.translations[code])
            for code, _ in LANGUAGES
        }

    def gettext(self, lang: str, message: str) -> str:
        """Return a text in a language; the Indonesian text itself is its name."""
        return str(self.translations[lang].gettext(message))

    def render(self, name: str, page: "Page", **context: Any) -> str:
        """Render a template for a request."""
        return self._render(
            name,
            page.lang,
            page=page,
            principal=page.principal,
            insecure=not page.facts.is_https and not page.facts.is_local,
            **context,
        )

    def render_live(self, name: str, lang: str, **context: Any) -> str:
        """Render a fragment that everybody sees alike."""
        return self._render(name, lang, page=None, principal=None, insecure=False, **context)

    def static(self, path: str) -> str:
        """Return the address of a static file, with its content's hash so that it may be kept."""
        if path not in self._hashes:
            self._hashes[path] = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]
        return f"/static/{path}?v={self._hashes[path]}"

    @cached_property
    def asset_version(self) -> str:
        """Name the state of all static files, so that screens reload when it changes."""
        digest = hashlib.sha256(__version__.encode())
        for file in sorted(STATIC.rglob("*")):
            if file.is_file():
                digest.update(file.read_bytes())
        return digest.hexdigest()[:12]

    def _render(self, name: str, lang: str, **context: Any) -> str:
        return self._environments[lang].get_template(name).render(clinic=self.face(), **context)

    def face(self) -> Mapping[str, Any]:
        """Return what pages show of the clinic."""
        return {
            "name": self.clinic.name,
            "motto": self.clinic.settings.get("clinic.motto"),
            "phone": self.clinic.settings.get("clinic.phone"),
            "address": self.clinic.settings.get("clinic.address"),
            "zone_label": self.clinic.zone_label,
        }

    def environment(
        self, lang: str, loader: BaseLoader, translations: NullTranslations
    ) -> Environment:
        """Make what renders the templates of a loader in a language, with what all of them use."""
        environment = Environment(
            loader=loader,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
            auto_reload=False,
        )
        environment.install_gettext_translations(  # type: ignore[attr-defined]
            translations, newstyle=True
        )
        environment.globals.update(
            icon=self._icon,
            static=self.static,
            setting=self.clinic.settings.get,
            lang=lang,
            languages=LANGUAGES,
            is_demo=self.is_demo,
            request_id=REQUEST_ID.get,
            url=lambda path, **query: _url(path, lang, query),
            ngettext=translations.ngettext,
            plugin_nav=lambda principal: self._plugin_nav(principal, lang),
            plugin_panels=lambda slot, principal: self._plugin_panels(slot, principal, lang),
            voice_trouble=lambda zone: voice_trouble(self.clinic, zone),
            printer_alerts=lambda zone: self._printer_alerts(zone, lang),
        )
        environment.filters.update(
            longdate=lambda at: self._longdate(at, lang),
            clock=lambda at: self._local(at).strftime("%H:%M"),
            clockzone=lambda at: f"{self._local(at):%H:%M} {self.clinic.zone_label}",
            num=lambda number: _number(number, lang),
            minutes_text=lambda minutes: self._minutes(minutes, lang),
            qr_svg=qr_svg,
            spelled=lambda number: spell_digits(number, lang),
        )
        return environment

    def _plugin_nav(self, principal: "Principal | None", lang: str) -> "tuple[NavLink, ...]":
        return self.screens.nav(principal, lang) if self.screens else ()

    def _plugin_panels(
        self, slot: str, principal: "Principal | None", lang: str
    ) -> "tuple[PanelPlace, ...]":
        return self.screens.panels(slot, principal, lang) if self.screens else ()

    def _printer_alerts(self, zone: str, lang: str) -> list[PrinterAlert]:
        """Return what staff of a hall should know of its printers, in their language."""
        found = alerts(self.clinic, zone)
        screens = self.screens
        if screens is None:
            return found
        return [
            replace(one, detail=screens.gettext(one.plugin, lang, one.detail))
            if one.detail
            else one
            for one in found
        ]

    def _icon(self, name: str) -> Markup:
        return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>').format(
            self.static("icons.svg"), name
        )

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(self.clinic.timezone)

    def _longdate(self, at: datetime | date, lang: str) -> str:
        day = self._local(at).date() if isinstance(at, datetime) else at
        return format_date(day, "EEEE, d MMMM y", locale="en_GB" if lang == "en" else lang)

    def _minutes(self, minutes: int | None, lang: str) -> str:
        if minutes is None:
            return "–"
        return f"± {minutes} {self.gettext(lang, 'menit')}"


def qr_svg(text: str) -> Markup:
    """Draw a QR code as SVG markup; phones do not read Micro QR, so it is never one."""
    out = io.BytesIO()
    segno.make_qr(text, error="m").save(
        out, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=4, svgclass="qr"
    )
    return Markup(out.getvalue().decode())  # noqa: S704 - drawn here, holds no text


def _translations(lang: str) -> NullTranslations:
    """Read a catalogue as its authors write it; Indonesian needs none."""
    if lang == DEFAULT_LANGUAGE:
        return NullTranslations()
    return read_catalogue(FOLDER, lang)


def read_catalogue(folder: Path, lang: str) -> Translations:
    """
    Read the texts of a package in a language.

    Raises:
        OSError: There is no such file.
        PoFileError: It is no catalogue.
    """
    with (folder / "locale" / lang / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale=lang, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


def _url(path: str, lang: str, query: dict[str, object]) -> str:
    values = {key: str(value) for key, value in query.items() if value not in (None, "")}
    if lang != DEFAULT_LANGUAGE:
        values.setdefault("lang", lang)
    return f"{path}?{urlencode(values)}" if values else path


def _number(number: float, lang: str) -> str:
    text = f"{number:,}"
    return text if lang == "en" else text.replace(",", ".")
