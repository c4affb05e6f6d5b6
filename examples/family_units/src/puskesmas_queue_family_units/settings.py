"""What the administrator decides."""

import re

from pydantic import BaseModel, Field, HttpUrl, SecretStr, field_validator

LETTERS = re.compile(r"[A-Z]{1,5}")


class Settings(BaseModel):
    """Settings of the plugin, from which its form is made."""

    letters: str = Field(
        default="A=UMUM, B=GIGI, C=KIA",
        title="Huruf nomor",
        description="Huruf lama = huruf baru, dipisah koma. Huruf P tetap milik prioritas.",
        max_length=200,
    )
    address: HttpUrl | None = Field(
        default=None, title="Alamat webhook", description="Kosong: panggilan tidak dilaporkan."
    )
    secret: SecretStr | None = Field(
        default=None, title="Kunci tanda tangan", description="Sama dengan yang dipakai penerima."
    )
    allow_private: bool = Field(
        default=False,
        title="Izinkan alamat di jaringan sendiri",
        description="Hanya bila penerima berada di dalam jaringan klinik.",
    )

    @field_validator("letters")
    @classmethod
    def _check_letters(cls, text: str) -> str:
        read_letters(text)
        return text


def read_letters(text: str) -> dict[str, str]:
    """
    Read the table of letters.

    Raises:
        ValueError: It is none, or two units would give the same numbers.
    """
    table: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        old, is_pair, new = (side.strip() for side in part.partition("="))
        if not is_pair or not LETTERS.fullmatch(old) or not LETTERS.fullmatch(new):
            raise ValueError("Tulis seperti A=UMUM, C=KIA dengan huruf besar.")
        if old in table:
            raise ValueError(f"Huruf {old} tertulis dua kali.")
        table[old] = new
    taken = [*table.values(), *({"A", "B", "C", "D", "E", "P"} - set(table))]
    doubled = sorted({new for new in taken if taken.count(new) > 1})
    if doubled or "P" in table:
        raise ValueError(f"Huruf {doubled[0] if doubled else 'P'} sudah dipakai.")
    return table
