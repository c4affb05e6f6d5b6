"""Settings of plugins: reading them, and changing them by a form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import BaseModel

from puskesmas_queue.clinic import SETTINGS_TOPIC, Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import (
    FieldProblem,
    InvalidForm,
    NotFound,
    SetupError,
    UnknownName,
)
from puskesmas_queue.plugin_host.forms import (
    CLEAR,
    LONGEST_TEXT,
    Field,
    Form,
    Value,
    form_fields,
    parse,
    shown,
    validate,
)
from puskesmas_queue.storage import plugin_settings as rows
from puskesmas_queue.storage.plugin_settings import StoredValue
from puskesmas_queue.storage.transaction import Tx

__all__ = [
    "CLEAR",
    "FieldState",
    "field_state",
    "field_states",
    "form_fields",
    "plugin_config",
    "read",
    "save",
    "set_field",
    "settings_model",
]
MASK = "••••"
"""What the audit and a list of settings hold of a secret."""
ON = {"true": True, "on": True, "yes": True, "1": True}
OFF = {"false": False, "off": False, "no": False, "0": False, "": False}
"""What a command takes for a switch."""


@dataclass(frozen=True, slots=True)
class FieldState:
    """
    A field as the form shows it.

    Args:
        field: What it is.
        text: What it holds; always empty for a secret.
        is_stored: Whether somebody set it; for a secret all that is ever told.
        unreadable: Why what is stored cannot be read, if so.
    """

    field: Field
    text: str
    is_stored: bool
    unreadable: str | None = None

    @property
    def told(self) -> str:
        """What a command may tell of it."""
        if self.field.kind == "secret":
            return MASK if self.is_stored else ""
        return ("true" if self.text else "false") if self.field.kind == "switch" else self.text


def settings_model(clinic: Clinic, plugin: str) -> type[BaseModel] | None:
    """
    Return the model that a plugin brought for its settings, None where it has none.

    Raises:
        PluginSettingsInvalid: It brought one that cannot be used.
    """
    form = clinic.configs.form(plugin)
    return None if form is None else form.model


def read(clinic: Clinic, plugin: str) -> BaseModel:
    """
    Return a plugin's settings: what is stored, and the model's defaults for the rest.

    Raises:
        NotFound: The plugin has no settings.
        PluginSettingsInvalid: Something is lacking, or not what the model takes.
    """
    settings = clinic.configs.get(plugin)
    if settings is None:
        raise NotFound(f"plugin {plugin} has no settings")
    return settings


def plugin_config(clinic: Clinic, plugin: str) -> BaseModel | None:
    """
    Return what a plugin may know of its own settings, None where it has none.

    Raises:
        PluginSettingsInvalid: See `read`.
    """
    return clinic.configs.get(plugin)


def field_states(clinic: Clinic, plugin: str) -> list[FieldState]:
    """
    Return the fields of a plugin's form with what they hold.

    Raises:
        NotFound: The plugin has no settings.
        PluginSettingsInvalid: It brought a model that cannot be used.
    """
    form = _form(clinic, plugin)
    stored = clinic.configs.stored(plugin)
    values, unreadable = clinic.configs.values(plugin, form, stored)
    return [
        FieldState(
            field,
            "" if field.kind == "secret" else shown(field, values.get(field.key, field.default)),
            field.key in values or field.key in unreadable,
            unreadable.get(field.key),
        )
        for field in form.fields
    ]


def field_state(clinic: Clinic, plugin: str, key: str) -> FieldState:
    """
    Return one field of a plugin's form with what it holds.

    Raises:
        UnknownName: There is no such field.
        NotFound, PluginSettingsInvalid: See `field_states`.
    """
    states = {state.field.key: state for state in field_states(clinic, plugin)}
    if key not in states:
        nearest = get_close_matches(key, states, n=1)
        name = f"{plugin}.{nearest[0]}" if nearest else None
        raise UnknownName("setting", f"{plugin}.{key}", name)
    return states[key]


def set_field(clinic: Clinic, plugin: str, key: str, text: str, actor: Actor) -> bool:
    """
    Change one field of a plugin's settings; the others stay, and may still be lacking.

    Args:
        clinic: Whose.
        plugin: Whose settings.
        key: The field.
        text: What it is to hold; for a switch `true` or `false`. Nothing clears a secret.
        actor: Who changes it.

    Returns:
        Whether anything changed.

    Raises:
        UnknownName, NotFound, PluginSettingsInvalid, InvalidForm: See `field_state` and `save`.
    """
    field = field_state(clinic, plugin, key).field
    states = field_states(clinic, plugin)
    form = {one.field.key: "on" for one in states if one.field.kind == "switch" and one.text}
    if field.kind == "switch":
        wanted = {**ON, **OFF}.get(text.strip().lower())
        if wanted is None:
            raise InvalidForm([FieldProblem(key, "choice")])
        form.pop(key, None)
        form.update({key: "on"} if wanted else {})
    elif field.kind == "secret" and text == "":
        form[CLEAR + key] = "on"
    else:
        form[key] = text
    return save(clinic, plugin, form, actor, only=key)


def save(
    clinic: Clinic, plugin: str, form: Mapping[str, str], actor: Actor, *, only: str | None = None
) -> bool:
    """
    Change a plugin's settings by what a form sent.

    A switch that was not sent is off; any other field that was not sent stays as it is. An empty
    secret stays as it is too, `clear-<key>` takes it away.

    Args:
        clinic: Whose.
        plugin: Whose settings.
        form: What was sent.
        actor: Who changes them.
        only: The one field that is meant; what is wrong with others is then left as it is.

    Returns:
        Whether anything changed.

    Raises:
        NotFound: The plugin has no settings.
        PluginSettingsInvalid: It brought a model that cannot be used.
        InvalidForm: Nothing was stored; with what is wrong, by field.
    """
    made = _form(clinic, plugin)
    stored = clinic.configs.stored(plugin)
    values, unreadable = clinic.configs.values(plugin, made, stored)
    wanted: dict[str, Value] = dict(values)
    problems: list[FieldProblem] = []
    for field in made.fields:
        problem = _take(field, form, wanted, unreadable)
        if problem is not None:
            problems.append(problem)
    _, found = validate(made, wanted)
    known = {problem.key for problem in problems}
    problems += [problem for problem in found if problem.key not in known]
    if known:
        # Fields are put right first; whether they go together is asked with the good ones.
        problems = [problem for problem in problems if problem.key]
    if only is not None:
        problems = [problem for problem in problems if problem.key in ("", only)]
    if problems:
        order = [field.key for field in made.fields]
        problems.sort(key=lambda one: order.index(one.key) if one.key else len(order))
        raise InvalidForm(problems)
    changed = [field for field in made.fields if _is_changed(field, wanted, values, stored)]
    if not changed:
        return False
    packed = _pack(clinic, plugin, changed, wanted)
    old = {field.key: _told(field, values) for field in changed}
    new = {field.key: _told(field, wanted) for field in changed}

    def run(tx: Tx) -> None:
        for key, value in packed.items():
            rows.store(tx, plugin, key, value, actor.id)
        rows.forget(tx, plugin, [field.key for field in changed if field.key not in packed])
        tx.audit(
            "change_plugin_settings",
            actor=actor,
            table="plugin_settings",
            record=plugin[:64],
            old=old,
            new=new,
        )
        tx.touch(SETTINGS_TOPIC)

    clinic.db.write(run)
    return True


def _form(clinic: Clinic, plugin: str) -> Form:
    form = clinic.configs.form(plugin)
    if form is None:
        raise NotFound(f"plugin {plugin} has no settings")
    return form


def _take(
    field: Field,
    form: Mapping[str, str],
    wanted: dict[str, Value],
    unreadable: Mapping[str, str],
) -> FieldProblem | None:
    """Put what was sent for one field among the wanted values, or say what is wrong with it."""
    if field.kind == "secret":
        return _take_secret(field, form, wanted, unreadable)
    if field.key not in form and field.kind != "switch":
        return None
    value = parse(field, form.get(field.key))
    if isinstance(value, FieldProblem):
        wanted.pop(field.key, None)
        return value
    wanted[field.key] = value
    return None


def _take_secret(
    field: Field,
    form: Mapping[str, str],
    wanted: dict[str, Value],
    unreadable: Mapping[str, str],
) -> FieldProblem | None:
    typed, is_cleared = form.get(field.key, ""), bool(form.get(CLEAR + field.key))
    if typed and is_cleared:
        return FieldProblem(field.key, "both")
    if len(typed) > LONGEST_TEXT:
        return FieldProblem(field.key, "too_long", str(LONGEST_TEXT))
    if typed:
        wanted[field.key] = typed
    elif is_cleared:
        wanted.pop(field.key, None)
    elif field.key in unreadable:
        return FieldProblem(field.key, "unreadable")
    return None


def _is_changed(
    field: Field,
    wanted: Mapping[str, Value],
    values: Mapping[str, Value],
    stored: Mapping[str, StoredValue],
) -> bool:
    row = stored.get(field.key)
    if row is not None and (field.key not in values or row.is_secret != (field.kind == "secret")):
        return True
    if field.kind == "secret":
        return wanted.get(field.key) != values.get(field.key)
    before = values.get(field.key, field.default)
    after = wanted.get(field.key, field.default)
    # True is 1 to Python.
    return (isinstance(before, bool), before) != (isinstance(after, bool), after)


def _pack(
    clinic: Clinic, plugin: str, changed: list[Field], wanted: Mapping[str, Value]
) -> dict[str, StoredValue]:
    """Write values as they are stored; a secret that cannot be encrypted is not stored at all."""
    packed = {}
    for field in changed:
        if field.key not in wanted:
            continue
        value = wanted[field.key]
        if field.kind != "secret":
            packed[field.key] = StoredValue(json.dumps(value), is_secret=False)
            continue
        try:
            text = clinic.configs.encrypt(plugin, field.key, str(value))
        except SetupError as error:
            raise InvalidForm([FieldProblem(field.key, "no_key", str(error))]) from None
        packed[field.key] = StoredValue(text, is_secret=True)
    return packed


def _told(field: Field, values: Mapping[str, Value]) -> Value:
    """Say for the audit what a field held or holds."""
    if field.kind == "secret":
        return MASK if field.key in values else None
    return values.get(field.key, field.default)
