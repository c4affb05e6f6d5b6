"""The template lint sees what it must see, and nothing else."""

import runpy

import pytest


@pytest.fixture(scope="module")
def lint(request):
    """The lint of `scripts/lint_templates.py`."""
    return runpy.run_path(str(request.config.rootpath / "scripts/lint_templates.py"))["lint"]


@pytest.mark.parametrize(
    "text",
    [
        "{{ name|safe }}",
        "{% autoescape false %}",
        "<script>go()</script>",
        "<style>p {}</style>",
        '<p style="color: red">',
        '<button onclick="go()">',
        '<button hx-on:click="go()">',
        '<a href="javascript:go()">',
        '<img src="https://example.org/a.png">',
        '<script src="//example.org/a.js"></script>',
        "<p>Ambil nomor</p>",
        '<img alt="Logo puskesmas">',
        '<button aria-label="Tutup">',
    ],
)
def test_wrong(lint, text):
    assert list(lint(text))


@pytest.mark.parametrize(
    "text",
    [
        '<p>{{ _("Ambil nomor") }}</p>',
        "{% trans n=n %}{{ n }} orang di depan{% endtrans %}",
        '<script type="module" src="{{ static(\'js/live.js\') }}"></script>',
        '<img alt="{{ _(\'Logo\') }}" data-unit="umum">',
        "{# a remark for whoever reads this #}",
        "{% block body_class %}tv-page{% endblock %}",
        "/kiosk{% if zone %}?zone={{ zone }}{% endif %}",
        "<p>{{ number }} · 12 — BPJS</p>",
    ],
)
def test_right(lint, text):
    assert list(lint(text)) == []


def test_complaints_name_their_line(lint):
    assert [line for line, _ in lint("<p>\n\n{{ x|safe }}\n<b>Halo</b></p>")] == [3, 4]
