"""Templates, texts and files of one plugin, in front of the core's."""

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from babel.support import NullTranslations
from jinja2 import ChoiceLoader, FileSystemLoader, TemplateNotFound

from puskesmas_queue.web.rendering import LANGUAGES, TEMPLATES, Rendering, read_catalogue

STYLE = "style.css"
Complain = Callable[[str], None]


class PluginTemplates:
    """
    Renders what a plugin brings; its templates may extend the core's.

    Args:
        plugin: Whose they are.
        folder: Where its package lies, None where it has none.
        rendering: The core's.
        complain: Told of a catalogue that cannot be read; the core's texts are used then.
    """

    def __init__(
        self, plugin: str, folder: Path | None, rendering: Rendering, complain: Complain
    ) -> None:
        self.plugin = plugin
        self._folder = folder
        self._rendering = rendering
        self._hashes: dict[str, str] = {}
        self._texts = {code: self._catalogue(code, complain) for code, _ in LANGUAGES}
        own = [] if folder is None else [FileSystemLoader(folder / "templates")]
        loader = ChoiceLoader([*own, TEMPLATES])
        self._environments = {
            code: rendering.environment(code, loader, texts) for code, texts in self._texts.items()
        }
        for environment in self._environments.values():
            environment.globals.update(
                plugin=plugin, plugin_static=self.static, plugin_style=self.style
            )

    @cached_property
    def static_folder(self) -> Path | None:
        """Where its static files lie, None where it has none."""
        folder = None if self._folder is None else self._folder / "static"
        return folder if folder is not None and folder.is_dir() else None

    @cached_property
    def style(self) -> str | None:
        """The address of its style sheet."""
        folder = self.static_folder
        return self.static(STYLE) if folder and (folder / STYLE).is_file() else None

    def gettext(self, lang: str, message: str) -> str:
        """Return a text of the plugin in a language."""
        return str(self._texts[lang].gettext(message))

    def static(self, path: str) -> str:
        """Return the address of one of its files, with the hash of what is in it."""
        if path not in self._hashes:
            if self.static_folder is None:
                raise FileNotFoundError(f"{self.plugin} has no folder static")
            content = (self.static_folder / path).read_bytes()
            self._hashes[path] = hashlib.sha256(content).hexdigest()[:12]
        return f"/x/{self.plugin}/static/{path}?v={self._hashes[path]}"

    def has(self, name: str, lang: str) -> bool:
        """Say whether a template of the plugin's own has this name."""
        try:
            file = self._environments[lang].get_template(name).filename
        except TemplateNotFound as error:
            if error.name != name:
                raise
            return False
        own = None if self._folder is None else self._folder / "templates"
        return own is not None and file is not None and Path(file).is_relative_to(own)

    def render(self, name: str, lang: str, values: Mapping[str, Any], **frame: Any) -> str:
        """Fill in a template; foreign code. What the frame of a page needs stands above values."""
        context = {**values, **frame, "clinic": self._rendering.face()}
        return self._environments[lang].get_template(name).render(context)

    def _catalogue(self, lang: str, complain: Complain) -> NullTranslations:
        core = self._rendering.translations[lang]
        if self._folder is None:
            return core
        try:
            texts = read_catalogue(self._folder, lang)
        except FileNotFoundError:
            return core
        except Exception as error:  # noqa: BLE001  # whatever stands in a foreign file
            complain(f"catalogue {lang}: {type(error).__name__}: {error}")
            return core
        texts.add_fallback(core)
        return texts
