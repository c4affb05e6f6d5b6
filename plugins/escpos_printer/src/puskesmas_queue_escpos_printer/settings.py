"""What the administrator decides beside the printers themselves."""

from typing import Self

from pydantic import BaseModel, Field

from puskesmas_queue.api import Context


class Settings(BaseModel):
    """Settings of the plugin, from which its form is made."""

    keep_days: int = Field(
        default=7,
        ge=1,
        le=90,
        title="Simpan daftar cetakan (hari)",
        description="Daftar cetakan yang lebih lama dihapus saat hari ditutup.",
    )

    @classmethod
    def of(cls, ctx: Context) -> Self:
        """Return what is set; the defaults where what is stored cannot be used."""
        return ctx.config if isinstance(ctx.config, cls) else cls()
