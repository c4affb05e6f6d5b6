"""What the administrator decides."""

from typing import Self

from pydantic import BaseModel, Field

from puskesmas_queue.api import Context


class Settings(BaseModel):
    """Settings of the plugin, from which its form is made."""

    most_waiting: int = Field(
        default=0,
        ge=0,
        le=500,
        title="Paling banyak menunggu di satu poli",
        description="0: tidak dibatasi. Prioritas dan darurat selalu diberi nomor.",
    )
    keep_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        title="Simpan jurnal (hari)",
        description="Jurnal yang lebih lama dihapus saat hari ditutup.",
    )

    @classmethod
    def of(cls, ctx: Context) -> Self:
        """Return what is set; the defaults where what is stored cannot be used."""
        return ctx.config if isinstance(ctx.config, cls) else cls()
