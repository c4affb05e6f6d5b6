"""
Forms made of the settings models of plugins.

What a field is follows from the model's JSON schema, so that every type works whose JSON is a
text, a number, a switch or a choice. Models are foreign code: whatever runs them here runs on a
guard.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from puskesmas_queue.domain.errors import FieldProblem
from puskesmas_queue.plugin_host.describing import UNSTORABLE, describe
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer, Overrun

FieldKind = Literal["text", "number", "switch", "choice", "secret"]
Value = str | int | float | bool | None
"""What a field holds, as JSON has it."""

MODEL_DEADLINE_S = 2.0
MOST_FIELDS = 80
LONGEST_LABEL = 100
LONGEST_HELP = 500
LONGEST_TEXT = 4_000
LONGEST_REFUSAL = 200
KEY_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,59}")
CLEAR = "clear-"
"""Before the key of a secret: the switch that takes the stored one away."""
T = TypeVar("T")

_GROUPED = re.compile(r"-?\d{1,3}(?:[.,]\d{3})+")
_WHOLE = re.compile(r"-?\d{1,18}")
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d{1,15})?")
_DECIMAL = re.compile(r"-?\d{1,18}(?:[.,]\d{1,15})?")
_LIMITS = {
    "greater_than_equal": ("at_least", "ge"),
    "greater_than": ("more_than", "gt"),
    "less_than_equal": ("at_most", "le"),
    "less_than": ("less_than", "lt"),
    "multiple_of": ("multiple_of", "multiple_of"),
    "string_too_short": ("too_short", "min_length"),
    "string_too_long": ("too_long", "max_length"),
    "too_short": ("too_short", "min_length"),
    "too_long": ("too_long", "max_length"),
}
_KINDS = {
    "missing": "required",
    "string_pattern_mismatch": "pattern",
    "literal_error": "choice",
    "enum": "choice",
    "int_parsing": "whole_number",
    "int_type": "whole_number",
    "int_from_float": "whole_number",
    "float_parsing": "number",
    "float_type": "number",
    "decimal_parsing": "number",
}


class BadModel(Exception):
    """A settings model of which no form can be made; `str()` says why, in one line."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a field that takes certain ones only; `text` is what the form sends."""

    text: str
    value: Value


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of a form.

    Args:
        key: Its name in the model and in the form.
        label: What it is called.
        help: What it does, may be empty.
        kind: How it is asked for.
        default: What holds while nobody set it; None for a secret, and where there is none.
        is_required: Whether it has no default.
        is_optional: Whether it may be nothing.
        is_whole: Whether a number must be whole.
        choices: What it takes, for choices.
        low: The smallest number, if any.
        high: The largest number, if any.
    """

    key: str
    label: str
    help: str
    kind: FieldKind
    default: Value = None
    is_required: bool = False
    is_optional: bool = False
    is_whole: bool = False
    choices: tuple[Choice, ...] = ()
    low: Value = None
    high: Value = None


@dataclass(frozen=True, slots=True)
class Form:
    """A plugin's settings model and the fields that are made of it."""

    model: type[BaseModel]
    fields: tuple[Field, ...]

    def field(self, key: str) -> Field:
        """Return a field by its key."""
        return next(field for field in self.fields if field.key == key)


# Reading a model


def make_form(model: object) -> Form:
    """
    Make a form of what a plugin named as its settings model.

    Raises:
        BadModel: It is no model, or has a field that no form can ask for.
    """
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise BadModel(f"answered {describe(model)}, not a pydantic model")
    try:
        return guarded(lambda: Form(model, _fields(model)))
    except NoAnswer:
        raise BadModel("its model did not answer in time") from None


def form_fields(model: type[BaseModel]) -> list[Field]:
    """
    Return the fields of a model, in its own order.

    Raises:
        BadModel: See `make_form`.
    """
    return list(make_form(model).fields)


def guarded(task: Callable[[], T], deadline_s: float = MODEL_DEADLINE_S) -> T:
    """
    Run a model's code on a thread that can be given up.

    Raises:
        NoAnswer: It ran out of time.
        BadModel: It raised.
    """
    guard = Guard()

    def run() -> tuple[T | None, BadModel | None]:
        try:
            return task(), None
        except BadModel as error:
            return None, error
        except Overrun:
            raise
        except BaseException as error:  # noqa: BLE001 - models are foreign code
            # Not its text, which may repeat a secret that did not fit.
            return None, BadModel(f"its model raised {type(error).__name__}")

    try:
        result, error = guard.call(run, deadline_s)
    except NoAnswer:
        guard.end()
        raise
    guard.retire()
    if error is not None:
        raise error
    answer: T = result
    return answer


def _fields(model: type[BaseModel]) -> tuple[Field, ...]:
    if len(model.model_fields) > MOST_FIELDS:
        raise BadModel(f"its model has more than {MOST_FIELDS} fields")
    schema = model.model_json_schema(by_alias=False)
    shared = schema.get("$defs", {})
    return tuple(
        _field(model, key, schema["properties"][key], shared) for key in model.model_fields
    )


def _field(
    model: type[BaseModel], key: str, schema: Mapping[str, Any], shared: Mapping[str, Any]
) -> Field:
    one = model.model_fields[key]
    if KEY_PATTERN.fullmatch(key) is None:
        raise BadModel(f'field "{key[:60]}" must be small letters, digits and underscores')
    if one.alias is not None or one.validation_alias is not None:
        raise BadModel(f'field "{key}" must have no alias')
    form, is_optional = _resolve(key, schema, shared)
    kind = _kind(form)
    if kind is None or (kind == "switch" and is_optional):
        raise BadModel(f'field "{key}" is of a type that no form can ask for')
    default: Value = None
    if kind != "secret" and not one.is_required():
        default = to_jsonable_python(one.get_default(call_default_factory=True))
        if kind == "number" and isinstance(default, str):
            default = float(default)  # that of a Decimal
        if not isinstance(default, str | int | float | bool | None):
            raise BadModel(f'the default of field "{key}" is no text, number or switch')
    return Field(
        key,
        _words(one.title or key.replace("_", " ").capitalize(), LONGEST_LABEL),
        _words(one.description or "", LONGEST_HELP),
        kind,
        default,
        one.is_required(),
        is_optional,
        form.get("type") == "integer",
        tuple(Choice(str(value), value) for value in _values(form)),
        form.get("minimum"),
        form.get("maximum"),
    )


def _resolve(
    key: str, schema: Mapping[str, Any], shared: Mapping[str, Any]
) -> tuple[Mapping[str, Any], bool]:
    """Follow a reference, and tell `| None` apart from what else there may be."""
    forms = [_followed(one, shared) for one in schema.get("anyOf", [schema])]
    real = [one for one in forms if one.get("type") != "null"]
    if not real or len({_kind(one) for one in real}) > 1:
        # A Decimal is a number or a text that is one.
        real = [one for one in real if one.get("type") == "number"]
    if not real:
        raise BadModel(f'field "{key}" is of several types')
    return real[0], any(one.get("type") == "null" for one in forms)


def _followed(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    if "allOf" in schema and len(schema["allOf"]) == 1:
        schema = schema["allOf"][0]
    if "$ref" in schema:
        return dict(shared[schema["$ref"].rpartition("/")[2]])
    return schema


def _kind(schema: Mapping[str, Any]) -> FieldKind | None:
    if _values(schema):
        return "choice"
    if schema.get("type") == "string":
        return "secret" if schema.get("format") == "password" else "text"
    kinds: dict[object, FieldKind] = {"integer": "number", "number": "number", "boolean": "switch"}
    return kinds.get(schema.get("type"))


def _values(schema: Mapping[str, Any]) -> list[Value]:
    values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else []
    return values if all(isinstance(value, str | int | float) for value in values) else []


def _words(text: str, most: int) -> str:
    """Make one line of bounded length of a plugin's words."""
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(text).split()))[:most]


# Reading what was typed


def shown(field: Field, value: Value) -> str:
    """Write a value as the form shows it, with a decimal comma; never called for a secret."""
    if value is None:
        return ""
    if field.kind == "switch":
        return "on" if value else ""
    if isinstance(value, float):
        return f"{value:.15g}".replace(".", ",")
    return str(value)


def parse(field: Field, text: str | None) -> Value | FieldProblem:
    """
    Read what was typed into a field; blanks and dots in numbers are fine.

    Args:
        field: The field; no secret.
        text: What the form sent, None where it sent nothing.
    """
    if field.kind == "switch":
        return text is not None and text != ""
    text = (text or "").strip()
    if len(text) > LONGEST_TEXT:
        return FieldProblem(field.key, "too_long", str(LONGEST_TEXT))
    if text == "" and field.is_optional:
        return None
    if text == "" and (field.is_required or field.kind != "text"):
        return FieldProblem(field.key, "choice" if field.kind == "choice" else "required")
    return text if field.kind == "text" else _parse_other(field, text)


def _parse_other(field: Field, text: str) -> Value | FieldProblem:
    """Read a number or a choice."""
    if field.kind == "choice":
        known: dict[str, Value] = {choice.text: choice.value for choice in field.choices}
        return known[text] if text in known else FieldProblem(field.key, "choice")
    number = _number(text, field.is_whole)
    if number is None:
        return FieldProblem(field.key, "whole_number" if field.is_whole else "number")
    return number


def _number(text: str, is_whole: bool) -> int | float | None:
    text = re.sub(r"\s", "", text)
    if is_whole:
        if _GROUPED.fullmatch(text):
            text = re.sub(r"[.,]", "", text)
        return int(text) if _WHOLE.fullmatch(text) and text.isascii() else None
    if _THOUSANDS.fullmatch(text):
        text = text.replace(".", "")
    if not _DECIMAL.fullmatch(text) or not text.isascii():
        return None
    number = float(text.replace(",", "."))
    return number if math.isfinite(number) else None


# Validation


def validate(
    form: Form, values: Mapping[str, Value]
) -> tuple[BaseModel | None, tuple[FieldProblem, ...]]:
    """
    Let the model look at values; what is not named has its default.

    Returns:
        The settings, or None and what is wrong.
    """

    def run() -> tuple[BaseModel | None, tuple[FieldProblem, ...]]:
        try:
            return form.model.model_validate_json(json.dumps(dict(values))), ()
        except ValidationError as error:
            return None, _problems(form, error)

    secrets = [
        str(values[one.key]) for one in form.fields if one.kind == "secret" and values.get(one.key)
    ]
    try:
        settings, problems = guarded(run)
        return settings, tuple(_masked(problem, secrets) for problem in problems)
    except NoAnswer:
        return None, (FieldProblem("", "slow"),)
    except BadModel as error:
        return None, (FieldProblem("", "refused", str(error)),)


def _problems(form: Form, error: ValidationError) -> tuple[FieldProblem, ...]:
    keys = {field.key for field in form.fields}
    found: dict[str, FieldProblem] = {}
    for one in error.errors(include_url=False, include_input=False):
        key = str(one["loc"][0]) if one["loc"] else ""
        key = key if key in keys else ""
        found.setdefault(key, _problem(key, one["type"], one.get("ctx", {})))
    return tuple(found.values())


def _masked(problem: FieldProblem, secrets: Iterable[str]) -> FieldProblem:
    """Take secrets out of the words of a plugin's own checks."""
    limit = problem.limit
    for secret in secrets:
        limit = limit.replace(secret, "••••")
    return replace(problem, limit=limit[:LONGEST_REFUSAL])


def _problem(key: str, kind: str, ctx: Mapping[str, Any]) -> FieldProblem:
    if kind in _LIMITS:
        name, limit = _LIMITS[kind]
        return FieldProblem(key, name, str(ctx.get(limit, "")))
    if kind in ("value_error", "assertion_error"):
        return FieldProblem(key, "refused", _words(str(ctx.get("error", "")), LONGEST_TEXT))
    if kind.startswith("url_"):
        return FieldProblem(key, "url")
    return FieldProblem(key, _KINDS.get(kind, "wrong"))
