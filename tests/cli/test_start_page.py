"""`device start-page`: a file for a screen's browser."""

import re

import pytest

from puskesmas_queue.cli.start_page import page


def test_writes_the_file_for_a_screen(run, tmp_path):
    answer = run(
        "device", "start-page", "--screen", "display", "--url", "https://antrean.lan:8000/"
    )

    assert answer.exit_code == 0, answer.output
    text = (tmp_path / "antrean-display.html").read_text("utf-8")
    assert 'const SERVER = "https://antrean.lan:8000";' in text
    assert 'const PAGE = "/display";' in text
    assert not re.findall(r"__[A-Z_]+__", text)


def test_the_file_may_be_named(run, tmp_path):
    words = ("--url", "http://10.0.0.5", "--output", "tv.html")
    assert run("device", "start-page", *words).exit_code == 0

    assert 'const PAGE = "/kiosk";' in (tmp_path / "tv.html").read_text()


def test_the_clinics_own_address_needs_not_be_given(run, config, monkeypatch):
    monkeypatch.setenv("PUSKESMAS__SERVER__PUBLIC_URL", "https://antrean.example.id")

    assert "https://antrean.example.id" in run("device", "start-page", "--config", config).stdout


def test_an_address_that_no_device_can_open(run, refused, config, monkeypatch):
    monkeypatch.setenv("PUSKESMAS__SERVER__HOST", "0.0.0.0")

    refused(run("device", "start-page", "--config", config), "--url")


@pytest.mark.parametrize(
    "url",
    [
        "antrean.lan",
        "ftp://antrean.lan",
        "https://",
        "https://h/kiosk",
        "https://h?x=1",
        "https://h:port",
        "http://[::1",
    ],
)
def test_what_is_no_address(run, refused, url):
    refused(run("device", "start-page", "--url", url), "--url")


def test_a_place_that_cannot_be_written(run, refused):
    words = ("--url", "https://h", "--output", "no/such/folder/x.html")

    refused(run("device", "start-page", *words), "cannot write")


def test_needs_nothing_from_anywhere_else():
    """The device may have no network at all when it shows this."""
    text = page("https://antrean.lan:8000", "kiosk")

    assert re.findall(r"""\b(?:src|href|url)\s*[=(]""", text) == []
    assert set(re.findall(r"https?://[^\"`\s]+", text)) == {"https://antrean.lan:8000"}


def test_nothing_in_the_address_ends_the_script():
    assert "x</script>" not in page("https://x</script>", "kiosk")
