"""The pages on which slips are made to look as a clinic wants them."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape

import pytest
from PIL import Image

from puskesmas_queue.api import PluginFile, Role
from puskesmas_queue.testing import ClinicUnderTest
from puskesmas_queue_escpos_printer import logo, plugin, template_store
from puskesmas_queue_escpos_printer.blocks import Words
from puskesmas_queue_escpos_printer.kinds import KINDS, default_template
from puskesmas_queue_escpos_printer.slip_form import moved, problems, read_form

NAME = "escpos_printer"
BASE = f"/x/{NAME}/slips"


@pytest.fixture
def clinic(puskesmas_clinics: Callable[..., ClinicUnderTest]) -> ClinicUnderTest:
    return puskesmas_clinics(escpos_printer=plugin)


def form_of(page: str) -> dict[str, str]:
    """What the form would send as it is, without its buttons."""
    form: dict[str, str] = {}
    for tag in re.findall(r"<input [^>]*>", page):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name is None or ('type="checkbox"' in tag and " checked" not in tag):
            continue
        form[name[1]] = unescape(value[1]) if value else ""
    for name, options in re.findall(r'<select [^>]*name="([^"]*)"[^>]*>(.*?)</select>', page):
        chosen = re.search(r'value="([^"]*)" selected', options)
        form[name] = chosen[1] if chosen else ""
    return form


def edit(clinic: ClinicUnderTest, **changes: str | None) -> "tuple[int, str]":
    """Open the ticket's form, change fields (None: not ticked) and press a button."""
    form = form_of(clinic.get(f"{BASE}/ticket", Role.ADMIN).text)
    for name, value in changes.items():
        if value is None:
            form.pop(name.replace("_", "-"), None)
        else:
            form[name.replace("_", "-")] = value
    answer = clinic.post(f"{BASE}/ticket", form, Role.ADMIN)
    return answer.status_code, answer.text


def ticket(clinic: ClinicUnderTest) -> dict[str, object]:
    template = template_store.template_of(clinic.context(NAME), "ticket")
    return {one.name: one for one in template.blocks}


def picture(width: int, height: int, colour: object = "black", kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    made = Image.new("RGB", (width, height), "white")
    made.paste(colour, (width // 4, height // 4, width // 2, height // 2))
    made.save(out, kind)
    return out.getvalue()


def test_a_slip_that_nobody_changed_is_as_it_comes(clinic: ClinicUnderTest) -> None:
    for kind in KINDS:
        page = clinic.get(f"{BASE}/{kind}", Role.ADMIN).text
        assert "Isi dengan bawaan" not in page
        assert page.count("data:image/png;base64,") == 2
        template = template_store.template_of(clinic.context(NAME), kind)
        assert template == default_template(kind)
    assert clinic.get(BASE, Role.ADMIN).text.count("data:image/png;base64,") == 3


def test_a_form_that_is_sent_unchanged_changes_nothing(clinic: ClinicUnderTest) -> None:
    assert edit(clinic, save="1")[0] == 303
    blocks = template_store.template_of(clinic.context(NAME), "ticket").blocks
    assert blocks == KINDS["ticket"].blocks


def test_words_sizes_and_blocks_are_changed_and_printed(clinic: ClinicUnderTest) -> None:
    status, _ = edit(
        clinic,
        save="1",
        on_qr=None,
        on_number=None,
        text_footer_id="Semoga lekas sembuh, {poli}",
        text_footer_en="Get well soon",
        label_jam_id="Jam",
        size_unit="huge",
        bold_unit=None,
    )
    assert status == 303

    found = ticket(clinic)
    assert found["footer"].text == Words("Semoga lekas sembuh, {poli}", "Get well soon")
    assert (found["unit"].size, found["unit"].is_bold, found["qr"].is_on) == ("huge", False, False)
    assert found["number"].is_on
    page = clinic.get(f"{BASE}/ticket?saved=1", Role.ADMIN).text
    assert "Tersimpan." in page
    assert "Isi dengan bawaan" in page
    assert "Diubah" in clinic.get(BASE, Role.ADMIN).text


def test_a_block_is_moved_before_it_is_saved(clinic: ClinicUnderTest) -> None:
    status, page = edit(clinic, move="qr:up", text_footer_id="Belum disimpan ini")
    assert status == 200
    assert "Belum disimpan." in page
    assert 'value="Belum disimpan ini"' in page
    order = form_of(page)["order"].split(",")
    assert order.index("qr") + 1 == order.index("estimate")
    assert list(ticket(clinic)) == [one.name for one in KINDS["ticket"].blocks]

    answer = clinic.post(f"{BASE}/ticket", {**form_of(page), "save": "1"}, Role.ADMIN)

    assert answer.status_code == 303
    assert list(ticket(clinic)) == order


def test_what_the_plugin_brings_is_filled_in_and_saved_by_a_second_tap(
    clinic: ClinicUnderTest,
) -> None:
    edit(clinic, save="1", text_footer_id="Salah")
    status, page = edit(clinic, default="1")
    assert (status, 'value="Salah"' in page) == (200, False)
    assert ticket(clinic)["footer"].text.id == "Salah"

    clinic.post(f"{BASE}/ticket", {**form_of(page), "save": "1"}, Role.ADMIN)

    assert ticket(clinic)["footer"].text.id == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{nama pasien}", "Tidak ada isian bernama {nama pasien}."),
        ("Nomor {nomor", "Kurung kurawal harus berpasangan"),
        ("Nomor }nomor{", "Kurung kurawal harus berpasangan"),
        ("x" * 201, "Terlalu panjang"),
    ],
)
def test_a_text_that_cannot_be_is_told_at_its_field(
    clinic: ClinicUnderTest, text: str, words: str
) -> None:
    """What was typed stays, in every field, and nothing is stored."""
    status, page = edit(
        clinic, save="1", text_footer_id=text, text_watch_en="Still here", on_room=None
    )

    assert status == 422
    assert page.count(words) == 2
    assert 'href="#text-footer-id"' in page
    form = form_of(page)
    assert (form["text-footer-id"], form["text-watch-en"]) == (text, "Still here")
    assert "on-room" not in form
    assert ticket(clinic)["footer"].text.id == ""


def test_two_who_change_one_slip_are_told(clinic: ClinicUnderTest) -> None:
    """Nothing is overwritten unseen; a second tap does it."""
    form = form_of(clinic.get(f"{BASE}/ticket", Role.ADMIN).text)
    edit(clinic, save="1", text_footer_id="Yang pertama")

    mine = {**form, "text-footer-id": "Yang kedua", "save": "1"}
    answer = clinic.post(f"{BASE}/ticket", mine, Role.ADMIN)

    assert answer.status_code == 422
    assert "baru saja diubah oleh" in answer.text
    assert ticket(clinic)["footer"].text.id == "Yang pertama"
    again = {**form_of(answer.text), "save": "1"}
    assert clinic.post(f"{BASE}/ticket", again, Role.ADMIN).status_code == 303
    assert ticket(clinic)["footer"].text.id == "Yang kedua"


def test_the_preview_shows_what_is_typed(clinic: ClinicUnderTest) -> None:
    """Also what is wrong, and hostile: nothing of it is carried out."""
    form = form_of(clinic.get(f"{BASE}/ticket", Role.ADMIN).text)

    def drawn(**changes: str) -> list[str]:
        answer = clinic.post(f"{BASE}/ticket/preview", {**form, **changes}, Role.ADMIN)
        assert answer.status_code == 200
        return re.findall(r'src="(data:image/png;base64,[^"]+)"', answer.text)

    plain = drawn()
    assert len(set(plain)) == 2
    assert drawn(preview_lane="priority") != plain
    assert drawn(preview_language="en") != plain
    assert drawn(**{"text-footer-id": "{nomor.__class__} {{ 7*7 }} <b> 病 {"}) != plain
    assert drawn(order="bukan,ada,qr,qr") != plain
    assert drawn(**{"size-unit": "9"}) == plain


def test_only_who_manages_settings_may(clinic: ClinicUnderTest) -> None:
    for role in (Role.PETUGAS_LOKET, Role.KEPALA, Role.AUDITOR):
        assert clinic.get(f"{BASE}/ticket", role).status_code == 403
        assert clinic.post(f"{BASE}/ticket", {"save": "1"}, role).status_code == 403
        assert clinic.post(f"/x/{NAME}/logo", {}, role).status_code == 403


def test_a_kind_that_there_is_not_leads_back(clinic: ClinicUnderTest) -> None:
    assert clinic.get(f"{BASE}/kartu", Role.ADMIN).headers["location"].startswith(BASE)
    assert clinic.post(f"{BASE}/kartu/preview", {}, Role.ADMIN).status_code == 303


# Logo


def test_a_logo_is_taken_printed_and_removed(clinic: ClinicUnderTest) -> None:
    file = PluginFile("logo.jpg", "image/jpeg", picture(3000, 900, "navy", "JPEG"))
    answer = clinic.post(f"/x/{NAME}/logo", {}, Role.ADMIN, files={"logo": file})
    assert answer.status_code == 303

    stored = template_store.template_of(clinic.context(NAME), "ticket").logo
    assert stored is not None
    with Image.open(io.BytesIO(stored)) as made:
        assert (made.mode, made.width <= 320, made.height <= 160) == ("1", True, True)
    assert "Logo tercetak" in clinic.get(BASE, Role.ADMIN).text

    clinic.post(f"/x/{NAME}/logo", {"remove": "1"}, Role.ADMIN)
    assert template_store.template_of(clinic.context(NAME), "ticket").logo is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Pilih berkas gambar"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "bukan gambar yang bisa dibaca"),
        (picture(50, 50)[:60], "bukan gambar yang bisa dibaca"),
        (picture(40, 40, "white"), "Pilih berkas gambar"),
        (picture(9000, 9000), "Gambar terlalu besar"),
    ],
)
def test_a_file_that_is_no_logo_is_told(
    clinic: ClinicUnderTest, content: bytes, words: str
) -> None:
    file = PluginFile("logo.png", "image/png", content)
    answer = clinic.post(f"/x/{NAME}/logo", {}, Role.ADMIN, files={"logo": file})

    assert answer.status_code == 422
    assert answer.text.count(words) == 2
    assert template_store.template_of(clinic.context(NAME), "ticket").logo is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
@pytest.mark.parametrize("size", [(10, 10), (320, 160), (1000, 40), (40, 1000)])
def test_any_picture_becomes_small_and_black_and_white(kind: str, size: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(logo.prepare(picture(*size, "black", kind)))) as made:
        assert made.mode == "1"
        assert (made.width <= logo.WIDTH, made.height <= logo.HEIGHT) == (True, True)


def test_what_is_clear_is_white() -> None:
    out = io.BytesIO()
    made = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    made.paste((0, 0, 0, 255), (10, 10, 20, 30))
    made.save(out, "PNG")

    with Image.open(io.BytesIO(logo.prepare(out.getvalue()))) as small:
        assert small.size == (10, 20)
        assert small.convert("L").getextrema() == (0, 0)


def test_a_file_that_is_too_large_is_not_opened() -> None:
    with pytest.raises(logo.NoLogo, match="large"):
        logo.prepare(b"\x89PNG" + b"\0" * logo.MOST_BYTES)


# The form


def test_a_form_says_what_it_does_not_name_as_it_comes() -> None:
    blocks = KINDS["ticket"].blocks
    assert read_form({}, blocks) == blocks
    assert read_form({"order": "qr,qr,nichts"}, blocks)[0].name == "qr"
    assert len(read_form({"order": "qr"}, blocks)) == len(blocks)


def test_a_block_at_the_end_stays_there() -> None:
    blocks = KINDS["ticket"].blocks
    assert moved(blocks, "logo", -1) == blocks
    assert moved(blocks, "footer", 1) == blocks
    assert moved(blocks, "nichts", 1) == blocks
    assert moved(blocks, "logo", 1)[1].name == "logo"


def test_nothing_is_wrong_with_what_the_plugin_brings() -> None:
    for kind in KINDS.values():
        assert list(problems(kind.blocks, kind.names)) == []


# The store


def test_what_is_stored_comes_back() -> None:
    blocks = tuple(
        replace(one, size="huge", is_on=False, text=Words("a", "b") if one.is_worded else one.text)
        for one in reversed(KINDS["ticket"].blocks)
    )
    written = template_store.write_blocks(blocks)
    assert template_store.read_blocks(written, KINDS["ticket"].blocks) == blocks


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "{}[", '[{"name": "unit"}]', "null", '[{"name": "unit", "size": "x"}]'],
)
def test_what_cannot_be_read_is_as_it_comes(text: str) -> None:
    blocks = KINDS["ticket"].blocks
    assert template_store.read_blocks(text, blocks) == blocks


def test_blocks_of_another_version_do_no_harm() -> None:
    """One that is gone is left out, one that is new stands at the end."""
    blocks = KINDS["ticket"].blocks
    written = template_store.write_blocks([replace(blocks[0], name="gone"), *blocks[2:]])

    found = template_store.read_blocks(written, blocks)

    assert [one.name for one in found] == [one.name for one in (*blocks[2:], *blocks[:2])]
