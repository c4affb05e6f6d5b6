"""The administrator's pages of plugins: how they stand, their settings."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from starlette.responses import Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import (
    FieldProblem,
    InvalidForm,
    PluginSettingsInvalid,
)
from puskesmas_queue.services import (
    plugin_health,
    plugin_overview,
    plugin_settings,
    plugins,
)
from puskesmas_queue.services.plugin_settings import FieldState
from puskesmas_queue.web.page import Page
from puskesmas_queue.web.routing import route

Errors = list[tuple[str, str]]

FIELD_ID = "f-"
"""Before a field's key in its id: no key of a plugin is the id of something else on the page."""
PLUGINS = "/admin/plugins"


def overview(page: Page) -> Response:
    """Show every plugin with its state, faults and deliveries."""
    views = plugin_overview.plugin_views(page.clinic)
    return page.render(
        "admin/plugins.html",
        tab="plugins",
        views=views,
        lost=plugin_overview.lost_count(page.clinic),
        done=page.query.get("done"),
    )


def show(page: Page) -> Response:
    """Show one plugin and the form of its settings."""
    return _show(page, [], {})


def save(page: Page) -> Response:
    """Change the settings of a plugin."""
    name = page.path["name"]
    view = plugin_overview.plugin_view(page.clinic, name)
    try:
        is_changed = plugin_settings.save(page.clinic, name, page.form, page.actor)
    except InvalidForm as error:
        states = _states(page, name)
        problems = [
            replace(one, limit=_told(page, name, one.limit)) if one.kind == "refused" else one
            for one in error.problems
        ]
        errors = [_error(page, problem, states) for problem in problems]
        return _show(page, errors, page.form, status=422)
    except PluginSettingsInvalid:
        return _show(page, [], {}, status=409)
    path = f"{PLUGINS}/{view.status.name}"
    return page.redirect(path, done="saved" if is_changed else "same")


def switch_on(page: Page) -> Response:
    """Let a plugin decide again that ran out of time."""
    view = plugin_overview.plugin_view(page.clinic, page.path["name"])
    plugins.switch_on(page.clinic, view.status.name, page.actor)
    return page.redirect(PLUGINS, done="on")


def _show(page: Page, errors: Errors, typed: dict[str, str], *, status: int = 200) -> Response:
    view = plugin_overview.plugin_view(page.clinic, page.path["name"])
    states: Sequence[FieldState] = ()
    if view.has_settings:
        states = _states(page, view.status.name)
    if typed:
        states = [_retyped(state, typed) for state in states]
    return page.render(
        "admin/plugin.html",
        status=status,
        tab="plugins",
        view=view,
        states=states,
        checks=_checks(page, view.status.name) if view.status.state == "active" else (),
        cleared={key for key in typed if key.startswith(plugin_settings.CLEAR)},
        errors=errors,
        lost=plugin_overview.lost_count(page.clinic),
        done=page.query.get("done") if not errors else None,
    )


def _states(page: Page, plugin: str) -> list[FieldState]:
    """Return the fields of a plugin, in the reader's language as far as its catalogues have it."""
    told = partial(_told, page, plugin)
    return [
        replace(
            one, field=replace(one.field, label=told(one.field.label), help=told(one.field.help))
        )
        for one in plugin_settings.field_states(page.clinic, plugin)
    ]


def _checks(page: Page, plugin: str) -> list[tuple[str, str, str]]:
    """Run the checks of a plugin: name, state and line of each, in the reader's language."""
    told = partial(_told, page, plugin)
    return [
        (told(one.name), one.health.state, one.health.line(told))
        for one in plugin_health.plugin_health(page.clinic, plugin)
    ]


def _told(page: Page, plugin: str, text: str) -> str:
    """Return one of a plugin's own texts in the reader's language."""
    screens = page.rendering.screens
    return screens.gettext(plugin, page.lang, text) if screens and text else text


def _retyped(state: FieldState, typed: dict[str, str]) -> FieldState:
    """Put into a field what was typed, so that it is not lost; a secret is not sent back."""
    if state.field.kind == "secret":
        return state
    return replace(state, text=typed.get(state.field.key, ""))


def _error(page: Page, problem: FieldProblem, states: Sequence[FieldState]) -> tuple[str, str]:
    """Word what is wrong with a field, with the id of the field."""
    labels = {state.field.key: state.field.label for state in states}
    if not problem.key:
        return FIELD_ID + next(iter(labels), ""), _form_error(page, problem)
    text = _text(page, problem.kind, labels[problem.key], problem.limit)
    return FIELD_ID + problem.key, text


def _form_error(page: Page, problem: FieldProblem) -> str:
    _ = page.gettext
    if problem.kind == "refused" and problem.limit:
        return problem.limit
    if problem.kind == "slow":
        return _("Plugin ini terlalu lama memeriksa isian. Tidak ada yang tersimpan.")
    return _("Plugin ini menolak isian bersama-sama. Periksa lagi.")


def _text(page: Page, kind: str, label: str, limit: str) -> str:
    _ = page.gettext
    texts = {
        "required": _("Isi “%(label)s”.", label=label),
        "number": _("“%(label)s” harus angka.", label=label),
        "whole_number": _("“%(label)s” harus angka bulat.", label=label),
        "at_least": _("“%(label)s” paling sedikit %(limit)s.", label=label, limit=limit),
        "more_than": _("“%(label)s” harus lebih dari %(limit)s.", label=label, limit=limit),
        "at_most": _("“%(label)s” paling banyak %(limit)s.", label=label, limit=limit),
        "less_than": _("“%(label)s” harus kurang dari %(limit)s.", label=label, limit=limit),
        "multiple_of": _("“%(label)s” harus kelipatan %(limit)s.", label=label, limit=limit),
        "too_short": _("“%(label)s” paling sedikit %(limit)s karakter.", label=label, limit=limit),
        "too_long": _("“%(label)s” paling banyak %(limit)s karakter.", label=label, limit=limit),
        "choice": _("Pilih “%(label)s” dari daftar.", label=label),
        "pattern": _("“%(label)s” tidak sesuai bentuk yang diminta.", label=label),
        "url": _(
            "“%(label)s” harus alamat lengkap, misalnya https://contoh.id.",
            label=label,
        ),
        "both": _("“%(label)s”: isi yang baru atau hapus, jangan keduanya.", label=label),
        "unreadable": _(
            "“%(label)s” yang tersimpan tidak bisa dibaca lagi. Isi yang baru atau hapus.",
            label=label,
        ),
        "no_key": _(
            "“%(label)s” tidak tersimpan karena kunci rahasia server tidak bisa dipakai: "
            "%(limit)s.",
            label=label,
            limit=limit,
        ),
        "refused": _("“%(label)s”: %(limit)s", label=label, limit=limit),
    }
    return texts.get(kind, _("“%(label)s” tidak bisa dipakai. Periksa lagi.", label=label))


_POST: Sequence[str] = ("POST",)
_MAY = Permission.MANAGE_SETTINGS
routes = [
    route(PLUGINS, overview, permission=_MAY),
    route(PLUGINS + "/{name}", show, permission=_MAY),
    route(PLUGINS + "/{name}", save, methods=_POST, permission=_MAY),
    route(PLUGINS + "/{name}/switch-on", switch_on, methods=_POST, permission=_MAY),
]
