"""What a refusal looks like on screen: what happened, what was kept, what to do."""

import logging
from typing import TYPE_CHECKING, Protocol

from starlette.responses import Response

from puskesmas_queue.domain.errors import (
    ClockUnconfirmed,
    Conflict,
    CounterBusy,
    CounterClosed,
    CounterFixed,
    CounterTaken,
    EdgeNotAllowed,
    FilesTooLarge,
    Forbidden,
    InvalidRequest,
    InvalidSetting,
    KeyTaken,
    KioskClosed,
    LoginDelayed,
    LoginFailed,
    NotFound,
    QueueError,
    QuotaFull,
    ReasonRequired,
    Refused,
    SetupError,
    StorageUnavailable,
    TicketObjected,
    TokenRefused,
    TooEarly,
    TooOften,
    UnitClosed,
    UnknownName,
)
from puskesmas_queue.web.plain import AWAY, plain_page
from puskesmas_queue.web.refusals import as_sentences

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic
    from puskesmas_queue.web.page import Page

Message = tuple[str, str]


class Speaker(Protocol):
    """Says things in somebody's language: a page, or a call of the API."""

    @property
    def clinic(self) -> "Clinic":
        """The clinic whose zone times are shown in."""

    def gettext(self, message: str, **values: object) -> str:
        """Return a text with `%(name)s` filled in."""


log = logging.getLogger(__name__)
AGAIN_S = 5
"""A page about a database that is away is loaded again after so long, seconds."""

STATUSES: tuple[tuple[type[QueueError], int], ...] = (
    (LoginDelayed, 429),
    (TooOften, 429),
    (LoginFailed, 401),
    (TokenRefused, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (FilesTooLarge, 413),
    (InvalidRequest, 422),
    (StorageUnavailable, 503),
    (SetupError, 503),
    (ClockUnconfirmed, 503),
    (Refused, 409),
    (Conflict, 409),
)
"""HTTP status by type, the narrower type first."""

READ_ALOUD = (Refused, TooOften, NotFound)
"""What the clinic's announcers read at a kiosk: no text of these holds anything of a request."""


def status_of(error: QueueError) -> int:
    """Return the HTTP status of a refusal."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 400)


def error_response(page: "Page", error: QueueError) -> Response:
    """Answer with a friendly page, or for htmx with a fragment of it."""
    title, detail = error_text(page, error)
    status = status_of(error)
    if status == 503:
        log.warning("answered 503: %s", error)
    try:
        response = error_page(page, status, (title, detail), error)
    except StorageUnavailable:
        # A server that began without its database does not know what its pages look like.
        response, status = plain_page(503, AWAY, {"refresh": _again(page)}), 503
    wait_s = error.wait_s if isinstance(error, LoginDelayed | TooOften) else 2 * (status == 503)
    if wait_s:
        response.headers["retry-after"] = str(wait_s)
    return response


def error_page(
    page: "Page", status: int, text: Message, error: QueueError | None = None
) -> Response:
    """
    Show what happened; on a kiosk it can be heard too.

    Args:
        page: Who asked for what.
        status: Of the answer.
        text: What happened and what to do.
        error: What was refused; None where something failed.
    """
    # How long to wait changes while it is read.
    told = text[:1] if isinstance(error, TooOften) else text
    aloud = as_sentences(*told, page.gettext("Silakan ke petugas."))
    is_read = page.is_kiosk and isinstance(error, READ_ALOUD)
    return page.render(
        "error.html",
        status=status,
        status_code=status,
        title=text[0],
        detail=text[1],
        aloud=aloud,
        aloud_name=page.refusals.keep(aloud) if is_read else "",
    )


def _again(page: "Page") -> str:
    """Say when to load which page again: the same one, but what was sent is not sent twice."""
    if page.request.method in ("GET", "HEAD"):
        return str(AGAIN_S)
    return f"{AGAIN_S}; url={'/kiosk' if page.is_kiosk else '/'}"


def crash_text(page: Speaker) -> Message:
    """Return what is said when something unexpected failed."""
    _ = page.gettext
    return (
        _("Terjadi gangguan pada server"),
        _("Permintaan ini tidak dikerjakan. Data yang sudah tersimpan tidak hilang. Coba lagi."),
    )


def error_text(page: Speaker, error: QueueError) -> Message:
    """Return what happened and what to do, in the page's language."""
    for kind, text in (
        (Conflict, _conflict),
        (Refused, _refused),
        (InvalidRequest, _invalid),
    ):
        if isinstance(error, kind):
            return text(page, error)
    return _other(page, error)


def _conflict(page: Speaker, error: QueueError) -> Message:
    _ = page.gettext
    match error:
        case CounterBusy():
            return (
                _("%(number)s masih dipanggil", number=error.number),
                _("Pilih Hadir, Ulang, atau Lewati dulu."),
            )
        case CounterTaken() | CounterFixed() | CounterClosed():
            return _counter(page, error)
        case TooEarly():
            return _too_early(page, error)
        case EdgeNotAllowed():
            return (
                _("%(number)s sudah berubah", number=error.number),
                _("Langkah ini tidak bisa untuk nomor itu sekarang. Lihat daftar yang terbaru."),
            )
    return (_("Tidak bisa dilakukan sekarang"), _("Keadaan sudah berubah. Lihat lagi."))


def _counter(page: Speaker, error: CounterTaken | CounterFixed | CounterClosed) -> Message:
    _ = page.gettext
    match error:
        case CounterTaken():
            return (
                _("Loket %(counter)s sedang dipakai", counter=error.counter),
                _("Yang bertugas di sana: %(name)s. Pilih loket lain.", name=error.user_name),
            )
        case CounterFixed():
            return (
                _("Komputer ini hanya untuk loket %(counter)s", counter=error.fixed),
                _("Buka loket lain di komputer lain."),
            )
    return (_("Loket belum dibuka"), _("Buka atau lanjutkan loket ini dulu."))


def _too_early(page: Speaker, error: TooEarly) -> Message:
    _ = page.gettext
    if error.action == "skip":
        return (_("Belum bisa dilewati"), _("Panggil nomor ini sampai tiga kali dulu."))
    if error.wait_s == 0:
        return (_("Sudah cukup dipanggil"), _("Pilih Hadir atau Lewati."))
    return (
        _("Belum bisa dipanggil ulang"),
        _("Tunggu %(seconds)s detik lagi.", seconds=error.wait_s),
    )


def _refused(page: Speaker, error: QueueError) -> Message:
    _ = page.gettext
    match error:
        case QuotaFull():
            return (
                _("Tempat hari ini sudah penuh"),
                _("Pilih layanan lain, datang di hari lain, atau tanyakan kepada petugas."),
            )
        case KioskClosed():
            opens = error.opens_at.astimezone(page.clinic.timezone)
            return (
                _("Pendaftaran sedang tutup"),
                _("Buka lagi pukul %(time)s.", time=f"{opens:%H:%M} {page.clinic.zone_label}"),
            )
        case TicketObjected():
            return (_("Nomor tidak bisa diambil"), error.objection)
        case UnitClosed():
            return (_("Layanan ini sedang tutup"), _("Pilih layanan lain."))
        case ClockUnconfirmed():
            return (
                _("Jam server perlu diperiksa"),
                _(
                    "Jam menunjukkan %(time)s. Nomor baru diberikan setelah petugas "
                    "memastikan jamnya benar.",
                    time=f"{error.shown:%d-%m-%Y %H:%M} {page.clinic.zone_label}",
                ),
            )
    return (_("Tidak bisa dilakukan sekarang"), _("Tanyakan kepada petugas."))


def _invalid(page: Speaker, error: QueueError) -> Message:
    _ = page.gettext
    match error:
        case ReasonRequired():
            return (_("Alasan belum diisi"), _("Tulis alasannya, lalu simpan lagi."))
        case UnknownName():
            return (
                _("Tidak dikenal: %(name)s", name=error.name),
                _("Pilihan itu tidak ada. Muat ulang halaman, lalu pilih lagi."),
            )
        case InvalidSetting():
            return (
                _("Nilai tidak bisa dipakai"),
                _("%(key)s tidak bisa berisi “%(value)s”.", key=error.key, value=error.value),
            )
        case FilesTooLarge():
            return (
                _("Berkas terlalu besar"),
                _(
                    "Paling besar %(limit)s kB, dan tidak ada yang tersimpan. Kembali, lalu pilih "
                    "berkas yang lebih kecil.",
                    limit=error.max_bytes // 1000,
                ),
            )
        case KeyTaken():
            return (
                _("Nomor sudah diambil"),
                _("Permintaan ini sudah dijawab dengan nomor lain. Mulai lagi dari awal."),
            )
    return (_("Permintaan tidak lengkap"), _("Periksa pilihan Anda, lalu coba lagi."))


def _other(page: Speaker, error: QueueError) -> Message:
    _ = page.gettext
    match error:
        case NotFound():
            return (
                _("Halaman tidak ditemukan"),
                _("Alamat atau kode ini tidak ada. Periksa tulisannya."),
            )
        case Forbidden():
            return (
                _("Bukan untuk peran Anda"),
                _("Akun Anda tidak boleh membuka ini. Penolakan ini dicatat."),
            )
        case LoginDelayed() | TooOften():
            return (
                _("Terlalu banyak percobaan"),
                _("Coba lagi %(seconds)s detik lagi.", seconds=error.wait_s),
            )
        case LoginFailed():
            return (_("Tidak bisa masuk"), _("Nama pengguna atau kata sandi salah."))
        case StorageUnavailable():
            return (
                _("Penyimpanan sedang tidak bisa dipakai"),
                _("Tidak ada yang tersimpan dari permintaan ini. Tunggu sebentar, lalu coba lagi."),
            )
    return _of_program(page, error)


def _of_program(page: Speaker, error: QueueError) -> Message:
    _ = page.gettext
    match error:
        case TokenRefused():
            return (
                _("Token tidak berlaku"),
                _("Token ini salah, kedaluwarsa, atau sudah diakhiri. Masuk lagi."),
            )
        case SetupError():
            return (
                _("Server belum siap untuk program lain"),
                _(
                    "Berkas kunci server tidak ada atau tidak terbaca. Admin: kembalikan "
                    "salinannya, atau buat yang baru dengan puskesmas-queue keys create."
                ),
            )
    return crash_text(page)
