"""What was sent with a request: a form, a JSON object, and files where a route takes them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from puskesmas_queue.domain.errors import FilesTooLarge
from puskesmas_queue.plugin_pages import PluginFile
from puskesmas_queue.web.security import MAX_BODY, BodyTooLarge, allow_body, drain_body

MAX_FIELDS = 200
MAX_FILES = 10
LONGEST_NAME = 200
PLAIN_FORM = "application/x-www-form-urlencoded"
FILE_FORM = "multipart/form-data"
UNTYPED = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Body:
    """
    What was sent.

    Args:
        fields: Of a form, or the plain values of a JSON object; the last of each name.
        document: The JSON object that came instead of a form.
        files: That were chosen in a form, the last of each name.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, PluginFile] = field(default_factory=dict)


def kind_of(request: Request) -> str:
    """Return the media type of what was sent, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, max_upload_bytes: int = 0) -> Body:
    """
    Read a form, or a JSON object with its plain values as fields.

    Args:
        request: Whose body it is.
        max_upload_bytes: How much all files of a form may hold together; 0 where it takes none.

    Raises:
        HTTPException: It is not what it says to be (400).
        FilesTooLarge: Its files hold more.
    """
    if request.method in ("GET", "HEAD"):
        return Body()
    kind = kind_of(request)
    if kind == PLAIN_FORM:
        body = (await request.body()).decode("latin-1")
        try:
            return Body(dict(parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS)))
        except ValueError:
            raise HTTPException(400) from None
    if kind == FILE_FORM:
        return await _read_file_form(request, max_upload_bytes)
    return Body() if kind != "application/json" else await _read_json(request)


async def _read_file_form(request: Request, max_upload_bytes: int) -> Body:
    if max_upload_bytes:
        # The fields have what any form has, the files come on top of it.
        allow_body(request.scope, MAX_BODY + max_upload_bytes)
    try:
        async with request.form(
            max_files=MAX_FILES if max_upload_bytes else 0, max_fields=MAX_FIELDS
        ) as form:
            fields = {key: value for key, value in form.items() if isinstance(value, str)}
            return Body(fields, files=await _files(form, max_upload_bytes))
    except ValueError:
        # A charset such as "undefined" refuses every text.
        raise HTTPException(400) from None
    except BodyTooLarge:
        if not max_upload_bytes:
            raise
        await drain_body(request.scope)
        raise FilesTooLarge(max_upload_bytes) from None


async def _files(form: FormData, max_upload_bytes: int) -> dict[str, PluginFile]:
    # A file's field where nobody chose a file comes as an empty one without a name.
    sent = [(key, one) for key, one in form.multi_items() if isinstance(one, UploadFile)]
    if sum(one.size or 0 for _, one in sent) > max_upload_bytes:
        raise FilesTooLarge(max_upload_bytes)
    return {
        key: PluginFile(_name(one.filename), one.content_type or UNTYPED, await one.read())
        for key, one in sent
        if one.filename
    }


def _name(sent: str) -> str:
    """Leave out folders, which some browsers send along."""
    return re.split(r"[\\/]", sent)[-1][-LONGEST_NAME:]


async def _read_json(request: Request) -> Body:
    try:
        document = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise HTTPException(400) from None
    if not isinstance(document, dict):
        raise HTTPException(400)
    fields = {key: _plain(value) for key, value in document.items() if _is_plain(value)}
    return Body(fields, document)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
