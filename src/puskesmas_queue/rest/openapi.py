"""
The OpenAPI 3.1 document, made of the same declarations and models as the routes.

What a call can answer follows from its declaration: its own answers, what its use case refuses,
and what every call refuses. So a route cannot be missing, nor a status.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from puskesmas_queue import __version__
from puskesmas_queue.domain.errors import Forbidden, QueueError, StorageUnavailable, TokenRefused
from puskesmas_queue.rest.endpoint import PREFIX, Endpoint
from puskesmas_queue.rest.problems import KINDS, MEDIA_TYPE, kind_of
from puskesmas_queue.rest.schemas import Problem
from puskesmas_queue.web.errors import STATUSES

REFERENCE = "#/components/schemas/{model}"
WORDS: Mapping[int, str] = {
    200: "As asked for",
    201: "Made",
    204: "Done; there is nothing to tell",
    400: "The body cannot be read",
    401: "No token came, or one that is not good",
    403: "This role may not",
    404: "There is no such thing",
    405: "Another method is meant",
    406: "There is no answer in this form",
    409: "Right words, wrong moment",
    413: "The body is over 1 MB",
    415: "The body is not JSON",
    422: "The words of the request are wrong",
    429: "Too often; Retry-After says when",
    500: "The server failed; nothing was kept",
    503: "The server cannot answer now; Retry-After says when",
}
PATH_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "id": {"type": "integer", "minimum": 1, "maximum": 999_999_999_999_999},
    "number": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    "code": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,20}$"},
    "topic": {"type": "string", "pattern": "^[A-Za-z0-9_.,-]{1,200}$", "examples": ["phone-main"]},
}
SUBJECTS: Mapping[str, str] = {
    "token": "Logging a program in and out",
    "units": "Service units and their places of today",
    "tickets": "Giving numbers and moving them along",
    "counters": "Opening counters and calling",
    "line": "The line of a hall, numbers only",
    "live": "The same as it changes",
    "devices": "Machines of the clinic: kiosk, TV, speaker, counter",
}


def build_document(endpoints: Sequence[Endpoint], clinic_name: str) -> dict[str, Any]:
    """
    Make the document of some calls.

    Args:
        endpoints: All calls.
        clinic_name: Whose server this is.
    """
    schemas = _schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"puskesmas-queue: {clinic_name}",
            "version": __version__,
            "summary": "The queue of a clinic, for other programs",
            "description": "Requests and answers are JSON; refusals are problem documents of RFC "
            "9457 in the language of Accept-Language (id or en). Times carry the clinic's offset.",
        },
        "servers": [{"url": PREFIX}],
        "tags": [{"name": name, "description": text} for name, text in SUBJECTS.items()],
        "paths": paths,
        "x-problems": _explained(endpoints),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The access token of a program, a JWT good for minutes, or the "
                    "token of a paired machine.",
                }
            },
        },
    }


def statuses_of(endpoint: Endpoint) -> dict[int, list[str]]:
    """Say with which statuses a call may refuse, and the kinds of refusals of each."""
    kinds: dict[int, set[str]] = {}
    errors = _errors(endpoint)
    own = {"method-not-allowed", "not-acceptable", "crashed"}
    if not endpoint.is_public:
        own.add("unauthorized")
    if endpoint.method != "GET":
        own |= {"malformed", "too-large", "unsupported-media-type"}
    if endpoint.method == "POST" or endpoint.query is not None or endpoint.body is not None:
        own.add("invalid")
    if "{" in endpoint.path:
        own.add("not-found")
    for error in errors:
        status = next(status for kind, status in STATUSES if issubclass(error, kind))
        kinds.setdefault(status, set()).add(kind_of(error))
    for kind in own:
        kinds.setdefault(KINDS[kind], set()).add(kind)
    # What comes before any call: a host without a name, plain HTTP, too many requests.
    for status in (400, 403, 429):
        kinds.setdefault(status, set())
    return {status: sorted(kinds[status]) for status in sorted(kinds)}


def _errors(endpoint: Endpoint) -> set[type[QueueError]]:
    """Name what a call's use case, its token and the database may refuse."""
    errors: set[type[QueueError]] = {*endpoint.refusals, StorageUnavailable}
    return errors if endpoint.is_public else errors | {TokenRefused, Forbidden}


def _explained(endpoints: Iterable[Endpoint]) -> dict[str, str]:
    """Say what each kind of refusal means; an error says it of itself."""
    found = {kind: WORDS[status] for kind, status in KINDS.items()}
    for error in {one for endpoint in endpoints for one in _errors(endpoint)}:
        line = str(error.__doc__).strip().partition("\n")[0]
        found[kind_of(error)] = line.replace("`", "")
    return dict(sorted(found.items()))


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in endpoint.answers.items():
        responses[str(status)] = _answer(status, kind, endpoint)
    for status, kinds in statuses_of(endpoint).items():
        responses[str(status)] = _refusal(status, kinds)
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.subject],
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint),
        "responses": responses,
        "security": [] if endpoint.is_public else [{"bearer": []}],
        "x-permission": endpoint.permission.value,
    }
    if endpoint.more:
        operation["description"] = endpoint.more
    if endpoint.body is not None:
        media: dict[str, Any] = {"schema": _reference(endpoint.body)}
        if endpoint.example:
            media["example"] = dict(endpoint.example)
        operation["requestBody"] = {
            "required": endpoint.is_body_needed,
            "content": {"application/json": media},
        }
    return operation


def _answer(status: int, kind: type[BaseModel] | None, endpoint: Endpoint) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": WORDS[status]}
    if status == 201 and endpoint.takes_key == "ticket":
        where = {"schema": {"type": "string", "format": "uri-reference"}}
        answer["headers"] = {"Location": where}
    if kind is not None:
        answer["content"] = {endpoint.media: {"schema": _reference(kind)}}
    elif status == 200:
        answer["content"] = {endpoint.media: {"schema": {"type": "string"}}}
    return answer


def _refusal(status: int, kinds: Sequence[str]) -> dict[str, Any]:
    known = f": {', '.join(kinds)}" if kinds else ""
    answer: dict[str, Any] = {
        "description": f"{WORDS[status]}{known}",
        "content": {MEDIA_TYPE: {"schema": _reference(Problem)}},
    }
    if kinds:
        answer["x-problems"] = list(kinds)
    if status in (429, 503):
        # Seconds; a refused login waits longer each time.
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return answer


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in PATH_SCHEMAS.items()
        if f"{{{name}}}" in endpoint.path
    ]
    if endpoint.query is not None:
        schema = endpoint.query.model_json_schema()
        definitions = schema.get("$defs", {})
        found += [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": one.get("description", ""),
                "schema": _plain(one, definitions),
            }
            for name, one in schema["properties"].items()
        ]
    if endpoint.takes_key != "none":
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The same key brings the same answer for 24 hours; the request is "
                "carried out once.",
                "schema": {"type": "string", "pattern": "^[!-~]{8,80}$"},
            }
        )
    return found


def _plain(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Write a query parameter's schema by itself: absence stands for null there."""
    one = dict(schema)
    for choice in one.pop("anyOf", ()):
        if choice.get("type") != "null":
            one |= choice
    if "$ref" in one:
        one |= definitions[str(one.pop("$ref")).rpartition("/")[2]]
    if one.get("default", 0) is None:
        del one["default"]
    return {name: value for name, value in one.items() if name not in ("title", "description")}


def _schemas(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    sent: set[type[BaseModel]] = {one.body for one in endpoints if one.body is not None}
    told: set[type[BaseModel]] = {Problem}
    told |= {kind for one in endpoints for kind in one.answers.values() if kind is not None}
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((one, "validation") for one in sorted(sent, key=_name)),
        *((one, "serialization") for one in sorted(told, key=_name)),
    ]
    _, document = models_json_schema(wanted, ref_template=REFERENCE)
    schemas: dict[str, Any] = document["$defs"]
    return schemas


def _reference(kind: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=kind.__name__)}


def _name(kind: type[BaseModel]) -> str:
    return kind.__name__
