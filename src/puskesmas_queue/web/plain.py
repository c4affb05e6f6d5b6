"""Answers to requests that never reach a route, in both languages at once."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response


def plain_page(
    status: int, words: tuple[str, str, str], headers: Mapping[str, str] | None = None
) -> Response:
    """
    Make a page that needs no template, no style and no database.

    Args:
        status: HTTP status.
        words: Title, what happened and what to do in Indonesian, the same in English.
        headers: Added to the answer.
    """
    title, indonesian, english = words
    page = (
        f'<!doctype html><html lang="id"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
        f'<body><main><h1>{title}</h1><p>{indonesian}</p><p lang="en">{english}</p>'
        "</main></body></html>"
    )
    return HTMLResponse(page, status, headers)


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
CRASHED = (
    "Terjadi gangguan",
    "Permintaan ini tidak dapat diselesaikan. Yang sudah tersimpan tetap aman. Coba lagi; bila "
    "terulang, hubungi admin.",
    "Something went wrong. What was saved is safe; try again.",
)
