"""What the administrator decides beside the printers themselves."""

from typing import Self

from pydantic import BaseModel, Field, field_validator

from puskesmas_queue.api import Context
from puskesmas_queue_escpos_printer.transports.opening import WrongAddress, read_address


class Settings(BaseModel):
    """Settings of the plugin, from which its form is made."""

    keep_days: int = Field(
        default=7,
        ge=1,
        le=90,
        title="Simpan daftar cetakan (hari)",
        description="Daftar cetakan yang lebih lama dihapus saat hari ditutup.",
    )

    prints_day: bool = Field(
        default=False,
        title="Cetak slip harian saat hari ditutup",
        description="Tengah malam, di printer loket yang pertama. Printer harus menyala.",
    )

    default_address: str = Field(
        default="",
        max_length=120,
        title="Alamat printer bila belum ada yang diatur",
        description="Misalnya 192.168.1.50. Dipakai selama halaman Printer belum berisi printer.",
    )

    @field_validator("default_address")
    @classmethod
    def _check_address(cls, text: str) -> str:
        try:
            return read_address("tcp", text) if text.strip() else ""
        except WrongAddress:
            raise ValueError("Tulis seperti 192.168.1.50 atau 192.168.1.50:9100.") from None

    @classmethod
    def of(cls, ctx: Context) -> Self:
        """Return what is set; the defaults where what is stored cannot be used."""
        return ctx.config if isinstance(ctx.config, cls) else cls()
