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
    Block("clinic", "Nama puskesmas", "text", Words("{puskesmas}"), size="large", is_bold=True),
    Block("address", "Alamat", "text", Words("{alamat}"), size="small"),
)
_FOOT = Block("footer", "Kalimat penutup", "text", Words(""), size="small")
_HEAD_NAMES = {
    "puskesmas": "Nama puskesmas",
    "alamat": "Alamat",
    "tanggal": "Tanggal",
    "jam": "Jam",
}

TICKET = Kind(
    title="Karcis antrean",
    blocks=(
        *_HEAD,
        Block(
            "number",
            "Nomor antrean",
            "number",
            Words("{nomor}"),
            Words("{kategori}"),
            is_fixed=True,
        ),
        Block("unit", "Poli", "text", Words("{poli}"), size="large", is_bold=True),
        Block("room", "Ruang", "text", Words("{ruang}"), size="tall"),
        Block("date", "Tanggal", "text", Words("{tanggal}"), size="tall"),
        Block(
            "time", "Jam", "row", Words("{jam}"), Words("Jam", "Time"), size="large", is_bold=True
        ),
        Block(
            "ahead",
            "Orang di depan",
            "row",
            Words("{di_depan}"),
            Words("Di depan Anda", "Before you"),
            size="large",
            is_bold=True,
        ),
        Block(
            "estimate",
            "Perkiraan waktu tunggu",
            "row",
            Words("{perkiraan}"),
            Words("Perkiraan", "Estimate"),
            size="large",
            is_bold=True,
        ),
        Block("qr", "Kode QR", "qr", Words("{qr}")),
        Block("code", "Kode karcis", "text", Words("{kode}"), size="large", is_bold=True),
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
            size="large",
            is_bold=True,
            when="is_emergency",
        ),
        _FOOT,
    ),
    names={
        **_HEAD_NAMES,
        "nomor": "Nomor antrean",
        "kategori": "Kategori",
        "poli": "Poli",
        "ruang": "Ruang",
        "di_depan": "Orang di depan",
        "perkiraan": "Perkiraan waktu tunggu",
        "kode": "Kode karcis",
        "tempat": "Tempat karcis diambil",
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
        Block("paper", "Kertas", "row", Words("{kertas}"), Words("Kertas", "Paper"), size="tall"),
        Block(
            "letters",
            "Set huruf",
            "row",
            Words("{set_huruf}"),
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
        Block("time", "Jam", "row", Words("{jam}"), Words("Jam", "Time"), size="tall"),
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
        "kertas": "Kertas",
        "set_huruf": "Set huruf",
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
            Words("Rekap antrean", "Queue report"),
            size="large",
            is_bold=True,
        ),
        Block("date", "Tanggal", "text", Words("{tanggal}"), size="tall"),
        Block("line", "Garis", "rule"),
        Block(
            "issued",
            "Nomor diberikan",
            "row",
            Words("{diberikan}"),
            Words("Nomor diberikan", "Numbers given"),
            size="large",
            is_bold=True,
        ),
        Block(
            "completed",
            "Selesai",
            "row",
            Words("{selesai}"),
            Words("Selesai", "Completed"),
            size="large",
        ),
        Block(
            "cancelled",
            "Dibatalkan",
            "row",
            Words("{batal}"),
            Words("Batal", "Cancelled"),
            size="large",
        ),
        Block(
            "expired", "Hangus", "row", Words("{hangus}"), Words("Hangus", "Expired"), size="large"
        ),
        Block("line_2", "Garis kedua", "rule", when="per_poli"),
        Block(
            "shares",
            "Judul rincian",
            "text",
            Words("Diberikan / selesai", "Given / completed"),
            size="tall",
            when="per_poli",
        ),
        Block("lanes", "Per kategori", "list", Words("{per_kategori}"), size="tall"),
        Block("units", "Per poli", "list", Words("{per_poli}"), size="tall"),
        Block("line_3", "Garis ketiga", "rule"),
        Block(
            "printed",
            "Waktu cetak",
            "row",
            Words("{dicetak}"),
            Words("Dicetak", "Printed"),
            size="small",
        ),
        _FOOT,
    ),
    names={
        **_HEAD_NAMES,
        "diberikan": "Nomor diberikan",
        "selesai": "Selesai",
        "batal": "Dibatalkan",
        "hangus": "Hangus",
        "dicetak": "Waktu cetak",
    },
    example=example_day,
)
KINDS: Mapping[str, Kind] = {"ticket": TICKET, "test": TEST, "day": DAY}
