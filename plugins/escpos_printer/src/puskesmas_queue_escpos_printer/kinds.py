"""
The kinds of slips: what each is made of unless a clinic changes it.

A kind is data: what it is called, its blocks, what the names in their texts mean, an example.
A further one, a visit card say, is an entry of `KINDS` and a function that makes its values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from puskesmas_queue_escpos_printer.blocks import Block, Template, Values, Words
from puskesmas_queue_escpos_printer.paper import PaperProfile
from puskesmas_queue_escpos_printer.values import Head, example_day, example_test, example_ticket

Example = Callable[[Head, PaperProfile, bool], Values]
"""Values of an example slip; the last argument asks for one of the priority lane."""


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of slip.

    Args:
        title: For administrators, looked up in the plugin's catalogues.
        blocks: From top to bottom, as the plugin brings them.
        names: What may stand in braces in its texts, each with a title.
        example: What the preview shows.
        has_lanes: Whether it looks different in the priority lane.
    """

    title: str
    blocks: tuple[Block, ...]
    names: Mapping[str, str]
    example: Example
    has_lanes: bool = False


def default_template(kind: str) -> Template:
    """Return a kind's slip as the plugin brings it."""
    return Template(KINDS[kind].blocks)


_HEAD = (
    Block("logo", "Logo", "logo"),
    Block("clinic", "Nama puskesmas", "text", Words("{clinic}"), size="large", is_bold=True),
    Block("address", "Alamat", "text", Words("{address}"), size="small"),
)
_FOOT = Block("footer", "Kalimat penutup", "text", Words(""), size="small")
_HEAD_NAMES = {"clinic": "Nama puskesmas", "address": "Alamat", "date": "Tanggal", "time": "Jam"}

TICKET = Kind(
    title="Karcis antrean",
    blocks=(
        *_HEAD,
        Block("number", "Nomor antrean", "number", Words("{number}"), Words("{lane}")),
        Block("unit", "Poli", "text", Words("{unit}"), size="large", is_bold=True),
        Block("room", "Ruang", "text", Words("{room}"), size="tall"),
        Block("date", "Tanggal", "text", Words("{date}"), size="tall"),
        Block(
            "time", "Jam", "row", Words("{time}"), Words("Jam", "Time"), size="large", is_bold=True
        ),
        Block(
            "ahead",
            "Orang di depan",
            "row",
            Words("{ahead}"),
            Words("Di depan Anda", "Before you"),
            size="large",
            is_bold=True,
        ),
        Block(
            "estimate",
            "Perkiraan waktu tunggu",
            "row",
            Words("{estimate}"),
            Words("Perkiraan", "Estimate"),
            size="large",
            is_bold=True,
        ),
        Block("qr", "Kode QR", "qr", Words("{qr}")),
        Block("code", "Kode karcis", "text", Words("{code}"), size="large", is_bold=True),
        Block(
            "watch",
            "Perhatikan layar",
            "text",
            Words(
                "Perhatikan layar. Nomor tidak harus urut.",
                "Watch the screen. Numbers may skip.",
            ),
            size="tall",
            is_bold=True,
            when="waits",
        ),
        Block(
            "emergency",
            "Petunjuk UGD",
            "text",
            Words(
                "Langsung ke UGD. Tidak perlu menunggu dipanggil.",
                "Go straight to the emergency room. Do not wait to be called.",
            ),
            size="tall",
            is_bold=True,
            when="is_emergency",
        ),
        _FOOT,
    ),
    names={
        **_HEAD_NAMES,
        "number": "Nomor antrean",
        "lane": "Kategori",
        "unit": "Poli",
        "room": "Ruang",
        "ahead": "Orang di depan",
        "estimate": "Perkiraan waktu tunggu",
        "code": "Kode karcis",
        "place": "Tempat karcis diambil",
    },
    example=example_ticket,
    has_lanes=True,
)
TEST = Kind(
    title="Halaman uji",
    blocks=(
        *_HEAD,
        Block("number", "Contoh nomor", "number", Words("A-000"), Words("UJI CETAK", "TEST PAGE")),
        Block("printer", "Printer", "row", Words("{printer}"), Words("Printer"), size="tall"),
        Block("paper", "Kertas", "row", Words("{paper}"), Words("Kertas", "Paper"), size="tall"),
        Block(
            "letters",
            "Set huruf",
            "row",
            Words("{code_page}"),
            Words("Set huruf", "Letters"),
            size="tall",
        ),
        Block(
            "sample",
            "Contoh huruf",
            "text",
            Words("ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz 0123456789 ± é è ñ ü"),
            size="small",
        ),
        Block("time", "Jam", "row", Words("{time}"), Words("Jam", "Time"), size="tall"),
        Block("qr", "Kode QR", "qr", Words("{qr}")),
        Block(
            "note",
            "Keterangan",
            "text",
            Words(
                "Garis di atas menyentuh kedua tepi? Kode QR terbaca? Printer siap dipakai.",
                "Do the lines above reach both edges? Does the QR code read? The printer is ready.",
            ),
            size="small",
        ),
        _FOOT,
    ),
    names={
        **_HEAD_NAMES,
        "printer": "Nama printer",
        "paper": "Kertas",
        "code_page": "Set huruf",
    },
    example=example_test,
)
DAY = Kind(
    title="Slip harian",
    blocks=(
        *_HEAD,
        Block(
            "title",
            "Judul",
            "text",
            Words("Antrean hari ini", "Queue of the day"),
            size="large",
            is_bold=True,
        ),
        Block("date", "Tanggal", "text", Words("{date}"), size="tall"),
        Block("line", "Garis", "rule"),
        Block(
            "issued",
            "Nomor diberikan",
            "row",
            Words("{issued}"),
            Words("Nomor diberikan", "Numbers given"),
            size="large",
            is_bold=True,
        ),
        Block(
            "completed",
            "Selesai",
            "row",
            Words("{completed}"),
            Words("Selesai", "Completed"),
            size="large",
        ),
        Block(
            "cancelled",
            "Batal",
            "row",
            Words("{cancelled}"),
            Words("Batal", "Cancelled"),
            size="large",
        ),
        Block(
            "expired", "Hangus", "row", Words("{expired}"), Words("Hangus", "Expired"), size="large"
        ),
        Block("line_2", "Garis", "rule"),
        Block(
            "printed",
            "Waktu cetak",
            "row",
            Words("{printed}"),
            Words("Dicetak", "Printed"),
            size="small",
        ),
        _FOOT,
    ),
    names={
        **_HEAD_NAMES,
        "issued": "Nomor diberikan",
        "completed": "Selesai",
        "cancelled": "Batal",
        "expired": "Hangus",
        "printed": "Waktu cetak",
    },
    example=example_day,
)
KINDS: Mapping[str, Kind] = {"ticket": TICKET, "test": TEST, "day": DAY}
