"""What the administrator decides."""

from typing import Self

from pydantic import BaseModel, Field, field_validator

from puskesmas_queue.api import Context

ENGINES = ("piper", "espeak", "clips")


class Settings(BaseModel):
    """Settings of the plugin, from which its form is made."""

    engines: str = Field(
        default=", ".join(ENGINES),
        max_length=60,
        title="Urutan suara",
        description="piper, espeak, clips: dicoba dari kiri, yang pertama bisa dipakai. "
        "Yang tidak ditulis tidak dipakai.",
    )
    cache_mb: int = Field(
        default=200,
        ge=10,
        le=5_000,
        title="Simpanan suara (MB)",
        description="Panggilan yang pernah diucapkan disimpan supaya langsung terdengar. "
        "Yang paling lama tidak dipakai dihapus.",
    )

    recorded_language: str = Field(
        default="id",
        max_length=20,
        pattern=r"^[A-Za-z][A-Za-z0-9_-]*$",
        title="Bahasa rekaman klinik",
        description="Nama folder rekaman yang diputar untuk panggilan bahasa Indonesia: id, "
        "atau jv untuk bahasa Jawa, mad untuk bahasa Madura.",
    )

    @field_validator("engines")
    @classmethod
    def _known(cls, value: str) -> str:
        names = _names(value)
        # Each is one text, so that the catalogue can have it.
        if not set(names) <= set(ENGINES):
            raise ValueError("Ada yang tidak dikenal. Pilih dari piper, espeak, clips.")
        if not names:
            raise ValueError("Tulis paling sedikit satu dari piper, espeak, clips.")
        if len(set(names)) < len(names):
            raise ValueError("Tulis setiap suara satu kali saja.")
        return ", ".join(names)

    @property
    def order(self) -> tuple[str, ...]:
        """The engines in the order in which they are asked."""
        return tuple(_names(self.engines))

    @classmethod
    def of(cls, ctx: Context) -> Self:
        """Return what is set; the defaults where what is stored cannot be used."""
        return ctx.config if isinstance(ctx.config, cls) else cls()


def _names(value: str) -> list[str]:
    return [name for one in value.lower().split(",") if (name := one.strip())]
