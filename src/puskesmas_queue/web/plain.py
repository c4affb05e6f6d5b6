"""Answers to requests that never reach a route, in both languages at once."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Scope

Words = tuple[str, str, str]
PROBLEM = "application/problem+json"


def refusal(
    scope: Scope, status: int, words: Words, headers: Mapping[str, str] | None = None
) -> Response:
    """
    Answer in the way that whoever asks can read: a page, a piece of one, or JSON.

    Args:
        scope: Of the request.
        status: HTTP status.
        words: As for `plain_page`.
        headers: Added to the answer.
    """
    asked = Headers(scope=scope)
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": words[2],
    }
    if scope["path"].startswith("/api/"):
        return JSONResponse(document, status, headers, media_type=PROBLEM)
    if asked.get("hx-request") == "true":
        return HTMLResponse(_alert(words), status, headers)
    if "json" in asked.get("accept", "") or asked.get("sec-fetch-dest") == "empty":
        return JSONResponse({**document, "title": words[0], "detail": words[1]}, status, headers)
    return plain_page(status, words, headers)


def plain_page(status: int, words: Words, headers: Mapping[str, str] | None = None) -> Response:
    """
    Make a page that needs no template, no style and no database.

    Args:
        status: HTTP status.
        words: Title, what happened and what to do in Indonesian, the same in English.
        headers: Added to the answer.
    """
    page = (
        f'<!doctype html><html lang="id"><head><meta charset="utf-8"><title>{words[0]}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
        f"<body><main>{_alert(words)}</main></body></html>"
    )
    return HTMLResponse(page, status, headers)


def _alert(words: Words) -> str:
    title, indonesian, english = words
    return f'<div role="alert"><h1>{title}</h1><p>{indonesian}</p><p lang="en">{english}</p></div>'


BAD_HOST = (
    "Alamat tidak dikenal",
    "Alamat server pada permintaan ini tidak sah. Buka kembali alamat yang diberikan petugas.",
    "The request names no valid host.",
)
NOT_PRIVATE = (
    "Sambungan tidak aman",
    "Server ini hanya dapat dibuka lewat https. Hubungi admin: gunakan alamat https, atau "
    "setel server.allow_insecure bila jaringan ini tepercaya. Bila server berada di belakang "
    "proksi, isi server.trusted_proxies.",
    "This server answers over https only, unless server.allow_insecure or "
    "server.trusted_proxies says otherwise.",
)
NO_PAGE = (
    "Halaman tidak ditemukan",
    "Alamat ini tidak ada. Buka kembali alamat yang diberikan petugas.",
    "There is no page at this address.",
)
TOO_LARGE = (
    "Kiriman terlalu besar",
    "Tidak ada yang disimpan. Kirim kembali dengan isi yang lebih kecil (paling besar 1 MB).",
    "The request body is over 1 MB; nothing was kept.",
)
FOREIGN = (
    "Permintaan ditolak",
    "Permintaan ini tidak datang dari halaman antrean sendiri, jadi tidak ada yang diubah. "
    "Buka halamannya langsung lalu coba lagi.",
    "This request did not come from a page of this server; nothing was changed.",
)
TOO_MANY = (
    "Terlalu banyak percobaan",
    "Terlalu banyak percobaan masuk dari alamat ini. Tunggu satu menit lalu coba lagi.",
    "Too many login attempts from this address; wait a minute.",
)
TOO_MANY_CODES = (
    "Terlalu banyak percobaan",
    "Terlalu banyak kode dicoba dari alamat ini. Tunggu satu menit lalu coba lagi.",
    "Too many codes were tried from this address; wait a minute.",
)
FLOOD = (
    "Terlalu banyak permintaan",
    "Alamat ini mengirim terlalu banyak permintaan. Tunggu sebentar, lalu coba lagi.",
    "Too many requests from this address; wait a moment.",
)
AWAY = (
    "Silakan ke petugas",
    "Penyimpanan sedang tidak bisa dipakai, jadi tidak ada yang disimpan. Halaman ini mencoba lagi "
    "sendiri.",
    "The database is away; nothing was kept. This page tries again by itself.",
)
CRASHED = (
    "Terjadi gangguan",
    "Permintaan ini tidak dapat diselesaikan. Yang sudah tersimpan tetap aman. Coba lagi; bila "
    "terulang, hubungi admin.",
    "Something went wrong. What was saved is safe; try again.",
)
