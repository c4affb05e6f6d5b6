"""
What plugins are configured with: each one's own settings model, filled from the database.

Nothing here crashes for what a plugin or a row is like: a plugin without usable settings has a
`PluginSettingsInvalid` with the reason.
"""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import BaseModel

from puskesmas_queue.domain.errors import (
    FieldProblem,
    PluginSettingsInvalid,
    SecretUnreadable,
    SetupError,
)
from puskesmas_queue.domain.options import OPTIONS
from puskesmas_queue.extensions import Context
from puskesmas_queue.plugin_host.asking import REGISTRATION_DEADLINE_S, ask_plugin
from puskesmas_queue.plugin_host.forms import BadModel, Field, Form, Value, make_form, validate
from puskesmas_queue.plugin_host.guard import NoAnswer, Raised
from puskesmas_queue.plugin_host.outcomes import Fault, FaultKind
from puskesmas_queue.plugin_host.registry import PluginSet
from puskesmas_queue.settings import SECTIONS
from puskesmas_queue.storage import plugin_settings as rows
from puskesmas_queue.storage.crypto import Keyring
from puskesmas_queue.storage.engine import Database
from puskesmas_queue.storage.plugin_settings import StoredValue

HOOK = "register_settings"
PURPOSE = "plugin-settings"
CORE_SECTIONS = frozenset({*SECTIONS, *(key.partition(".")[0] for key in OPTIONS)})


class PluginConfigs:
    """
    The settings of one clinic's plugins.

    Args:
        db: The clinic's rows.
        plugins: Who is asked for a model.
        key_path: The key file; needed once a secret is stored.
        context: Makes what `register_settings` may look at.
        report: Told of a plugin whose model cannot be used.
    """

    def __init__(
        self,
        db: Database,
        plugins: PluginSet,
        key_path: Path,
        context: Callable[[], Context],
        report: Callable[[Fault], None],
    ) -> None:
        self._db = db
        self._plugins = plugins
        self._key_path = key_path
        self._context = context
        self._report = report
        self._asking = threading.Lock()
        self._settings_lock = threading.Lock()
        self._forms: dict[str, Form | PluginSettingsInvalid | None] = {}
        self._settings: dict[str, BaseModel | PluginSettingsInvalid | None] = {}
        self._latest: dict[str, BaseModel | None] = {}
        self._keyring: Keyring | None = None
        self._forgotten = 0

    def warm(self) -> None:
        """Ask every plugin now, and not inside the first transaction that needs it."""
        for plugin in self._plugins.names:
            self.outcome(plugin)

    def forget(self) -> None:
        """Read the rows again at the next question."""
        with self._settings_lock:
            self._forgotten += 1
            self._settings.clear()
            self._keyring = None

    def latest(self, plugin: str) -> BaseModel | None:
        """Return what is known of a plugin's settings without reading; None where none are good."""
        return self._latest.get(plugin)

    def form(self, plugin: str) -> Form | None:
        """
        Return a plugin's model and fields, None where it has no settings.

        Raises:
            PluginSettingsInvalid: It brought a model that cannot be used.
        """
        with self._asking:
            if plugin not in self._forms:
                self._forms[plugin] = self._ask(plugin)
            found = self._forms[plugin]
        if isinstance(found, PluginSettingsInvalid):
            raise found
        return found

    def get(self, plugin: str) -> BaseModel | None:
        """
        Return a plugin's own settings, None where it has none; this is its `ctx.config`.

        Raises:
            PluginSettingsInvalid: What is stored, or the absence of it, is not what it takes.
        """
        found = self.outcome(plugin)
        if isinstance(found, PluginSettingsInvalid):
            raise found
        return found

    def outcome(self, plugin: str) -> BaseModel | PluginSettingsInvalid | None:
        """Return what `get` returns or would raise."""
        with self._settings_lock:
            if plugin in self._settings:
                return self._settings[plugin]
            forgotten = self._forgotten
        found = self._load(plugin)
        with self._settings_lock:
            # What was read before a change must not be kept after it.
            if forgotten == self._forgotten:
                self._settings[plugin] = found
                self._latest[plugin] = None if isinstance(found, PluginSettingsInvalid) else found
        return found

    def stored(self, plugin: str) -> dict[str, StoredValue]:
        """Read what is stored for a plugin."""
        return self._db.read(lambda tx: rows.load(tx, plugin))

    def encrypt(self, plugin: str, key: str, text: str) -> str:
        """
        Encrypt a secret for its row.

        Raises:
            SetupError: There is no good key file.
        """
        return self._keys().encrypt(PURPOSE, self._place(plugin, key), text)

    def values(
        self, plugin: str, form: Form, stored: Mapping[str, StoredValue]
    ) -> tuple[dict[str, Value], dict[str, str]]:
        """
        Read stored values as JSON has them.

        Returns:
            The values that could be read, and why others could not, by key.
        """
        values: dict[str, Value] = {}
        unreadable: dict[str, str] = {}
        for field in form.fields:
            row = stored.get(field.key)
            # What was kept as a secret is never shown, whatever the model says of it today.
            if row is None or (row.is_secret and field.kind != "secret"):
                continue
            try:
                values[field.key] = self._value(plugin, field, row)
            except SetupError as error:
                unreadable[field.key] = str(error)
        return values, unreadable

    def _value(self, plugin: str, field: Field, row: StoredValue) -> Value:
        if row.is_secret:
            return self._keys().decrypt(PURPOSE, self._place(plugin, field.key), row.text)
        try:
            value: object = json.loads(row.text)
        except ValueError:
            raise SecretUnreadable("it is damaged") from None
        if not isinstance(value, str | int | float | bool | None):
            raise SecretUnreadable("it is damaged")
        return value

    def _load(self, plugin: str) -> BaseModel | PluginSettingsInvalid | None:
        try:
            form = self.form(plugin)
        except PluginSettingsInvalid as error:
            return error
        if form is None:
            return None
        values, unreadable = self.values(plugin, form, self.stored(plugin))
        if unreadable:
            key, why = next(iter(unreadable.items()))
            return PluginSettingsInvalid(plugin, f"{key} cannot be read: {why}")
        settings, problems = validate(form, values)
        if settings is None:
            return PluginSettingsInvalid(plugin, ", ".join(map(_line, problems)))
        return settings

    def _ask(self, plugin: str) -> Form | PluginSettingsInvalid | None:
        try:
            model = ask_plugin(self._plugins.manager, plugin, HOOK, self._context())
            if model is None:
                return None
            form = make_form(model)
            shadow = _shadow(plugin, form)
            if shadow is not None:
                raise BadModel(shadow)
        except NoAnswer:
            limit = f"no answer within {REGISTRATION_DEADLINE_S:.0f} s"
            return self._fault(plugin, "overran", limit)
        except Raised as error:
            return self._fault(plugin, "raised", str(error))
        except BadModel as error:
            return self._fault(plugin, "nonsense", str(error))
        return form

    def _fault(self, plugin: str, kind: FaultKind, detail: str) -> PluginSettingsInvalid:
        self._report(Fault(plugin, HOOK, kind, detail))
        return PluginSettingsInvalid(plugin, f"{HOOK} {kind}: {detail}")

    def _keys(self) -> Keyring:
        keyring = self._keyring
        if keyring is None:
            keyring = self._keyring = Keyring.load(self._key_path)
        return keyring

    def _place(self, plugin: str, key: str) -> tuple[str, ...]:
        return (self._db.clinic_id, "plugin_settings", plugin, key)


def _shadow(plugin: str, form: Form) -> str | None:
    """Say why a plugin's settings would stand over the core's."""
    if plugin in CORE_SECTIONS:
        return f'the settings of a plugin "{plugin}" would stand over the core\'s'
    taken = [field.key for field in form.fields if f"{plugin}.{field.key}" in OPTIONS]
    return f'"{plugin}.{taken[0]}" is a setting of the core' if taken else None


def _line(problem: FieldProblem) -> str:
    """Say in a word what is wrong; what a plugin's own checks say may repeat a secret."""
    return f"{problem.key or 'model'}: {problem.kind.replace('_', ' ')}"
