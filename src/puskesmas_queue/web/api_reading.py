"""
The OpenAPI document, laid out for reading.

Takes the document alone, so that the page says what programs are told and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from puskesmas_queue.domain.access import Permission

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """
    A parameter or a part of a body.

    Args:
        kind: What it is, in words such as `text` or `list of Ticket`.
        model: The model that it is or holds, which stands further down; empty for none.
    """

    name: str
    kind: str
    model: str
    is_needed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What may come back: `model` as in `Field`, `problems` the kinds of a refusal."""

    status: str
    text: str
    model: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One call."""

    anchor: str
    method: str
    path: str
    summary: str
    text: str
    permission: str
    is_public: bool
    parameters: tuple[Field, ...]
    body: str
    example: Mapping[str, Any] | None
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """A part of the document with its calls."""

    name: str
    text: str
    calls: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A model, or a list of the words that a value may be."""

    name: str
    text: str
    fields: tuple[Field, ...]
    words: tuple[str, ...]


def subjects_of(document: Document) -> list[Subject]:
    """Lay out the calls, by subject."""
    prefix = document["servers"][0]["url"]
    calls: dict[str, list[Reading]] = {tag["name"]: [] for tag in document["tags"]}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            calls[operation["tags"][0]].append(_call(method.upper(), prefix + path, operation))
    return [
        Subject(tag["name"], tag["description"], tuple(calls[tag["name"]]))
        for tag in document["tags"]
    ]


def models_of(document: Document) -> list[Model]:
    """Lay out the models, by name."""
    schemas = document["components"]["schemas"]
    return [_model(name, schemas[name]) for name in sorted(schemas)]


def problems_of(document: Document) -> dict[str, tuple[str, str]]:
    """Return every kind of refusal with its status and what it means."""
    found: dict[str, str] = {}
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                found |= dict.fromkeys(answer.get("x-problems", ()), status)
    by_status = sorted(found, key=lambda kind: (found[kind], kind))
    return {kind: (found[kind], document["x-problems"][kind]) for kind in by_status}


def _call(method: str, path: str, operation: Document) -> Reading:
    media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return Reading(
        anchor=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        text=operation.get("description", ""),
        permission=operation["x-permission"],
        is_public=operation["x-permission"] == Permission.PUBLIC,
        parameters=tuple(_parameter(one) for one in operation["parameters"]),
        body=_reference(media.get("schema", {})),
        example=media.get("example"),
        answers=tuple(
            _answer(status, operation["responses"][status])
            for status in sorted(operation["responses"])
        ),
    )


def _answer(status: str, answer: Document) -> Answer:
    media: Document = next(iter(answer.get("content", {}).values()), {})
    problems = tuple(answer.get("x-problems", ()))
    model = "" if int(status) >= 400 else _reference(media.get("schema", {}))
    return Answer(status, answer["description"].partition(":")[0], model, problems)


def _parameter(one: Document) -> Field:
    schema = one["schema"]
    where = {"path": "", "query": "?", "header": ""}[one["in"]]
    return Field(
        where + one["name"], _kind(schema), "", one["required"], one.get("description", "")
    )


def _model(name: str, schema: Document) -> Model:
    needed = schema.get("required", ())
    fields = tuple(
        Field(key, _kind(one), _reference(one), key in needed, one.get("description", ""))
        for key, one in schema.get("properties", {}).items()
    )
    words = tuple(str(word) for word in schema.get("enum", ()))
    return Model(name, schema.get("description", ""), fields, words)


def _reference(schema: Document) -> str:
    """Name the model that a schema is or holds."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    inner = [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])]
    return next((found for one in inner if (found := _reference(one))), "")


def _kind(schema: Document) -> str:
    """Say in words what a schema takes."""
    if "anyOf" in schema:
        return " | ".join(_kind(one) for one in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(str(word) for word in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format", kind))
