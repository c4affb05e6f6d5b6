"""The pages on which an administrator makes the slips look as the clinic wants them."""

from collections.abc import Sequence
from dataclasses import dataclass

from puskesmas_queue.api import (
    Answer,
    Context,
    Permission,
    PluginRequest,
    PluginRoute,
    RedirectAnswer,
    TemplateAnswer,
)
from puskesmas_queue_escpos_printer import logo, template_store
from puskesmas_queue_escpos_printer.blocks import LONGEST_TEXT, SIZES, Block, Template
from puskesmas_queue_escpos_printer.kinds import KINDS
from puskesmas_queue_escpos_printer.preview import previews
from puskesmas_queue_escpos_printer.slip_form import Problem, moved, problems, read_form
from puskesmas_queue_escpos_printer.values import head_of

BASE = "/x/escpos_printer/slips"
_STEPS = {"up": -1, "down": 1}


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the page of a slip shows beside its blocks."""

    kind: str
    template: Template
    seen: str
    problems: Sequence[Problem] = ()
    is_unsaved: bool = False
    is_saved: bool = False
    changed_by: str = ""
    """Somebody else who saved meanwhile."""


def overview(request: PluginRequest, ctx: Context) -> Answer:
    """List the kinds of slips, and the logo."""
    return _overview(request, ctx)


def one(request: PluginRequest, ctx: Context) -> Answer:
    """Show the form of a slip, or take it."""
    kind = request.values["kind"]
    if kind not in KINDS:
        return RedirectAnswer(BASE)
    if request.method == "POST":
        return _change(request, ctx, kind)
    found = template_store.stored(ctx, kind)
    shown = _Shown(kind, found.template, _seen(found), is_saved="saved" in request.query)
    return _form(request, ctx, shown)


def preview(request: PluginRequest, ctx: Context) -> Answer:
    """Draw what is in the form, saved or not."""
    kind = request.values["kind"]
    if kind not in KINDS:
        return RedirectAnswer(BASE)
    blocks = read_form(request.form, KINDS[kind].blocks)
    template = Template(blocks, template_store.template_of(ctx, kind).logo)
    return TemplateAnswer("slip_previews.html", _previews(request, ctx, kind, template))


def take_logo(request: PluginRequest, ctx: Context) -> Answer:
    """Take a picture as the clinic's logo, or do without one."""
    if "remove" in request.form:
        template_store.forget_logo(ctx)
        return RedirectAnswer(f"{BASE}#logo")
    file = request.files.get("logo")
    try:
        picture = logo.prepare(file.content if file else b"")
    except logo.NoLogo as error:
        return _overview(request, ctx, error.reason)
    template_store.save_logo(ctx, picture)
    return RedirectAnswer(f"{BASE}#logo")


def _overview(request: PluginRequest, ctx: Context, wrong: str = "") -> Answer:
    kinds = []
    picture = None
    for kind, about in KINDS.items():
        found = template_store.stored(ctx, kind)
        picture = found.template.logo
        narrow = previews(kind, found.template, head_of(ctx), is_priority=False)[0]
        kinds.append((kind, about, found, narrow))
    values = {"kinds": kinds, "has_logo": picture is not None, "wrong": wrong}
    return TemplateAnswer("slips.html", values, 422 if wrong else 200)


def _change(request: PluginRequest, ctx: Context, kind: str) -> Answer:
    """Save what was typed, move a block, or fill in what the plugin brings; nothing gets lost."""
    assert request.user is not None
    form = request.form
    found = template_store.stored(ctx, kind)
    blocks = read_form(form, KINDS[kind].blocks)
    seen = form.get("seen", "")
    name, _, step = form.get("move", "").partition(":")
    if step in _STEPS:
        blocks = moved(blocks, name, _STEPS[step])
    elif "default" in form:
        blocks = KINDS[kind].blocks
    template = Template(blocks, found.template.logo)
    if "save" not in form:
        return _form(request, ctx, _Shown(kind, template, seen, is_unsaved=True))
    wrong = tuple(problems(blocks, KINDS[kind].names))
    if wrong:
        return _form(request, ctx, _Shown(kind, template, seen, wrong, is_unsaved=True))
    if seen != _seen(found):
        by = found.changed_by
        return _form(
            request, ctx, _Shown(kind, template, _seen(found), is_unsaved=True, changed_by=by)
        )
    template_store.save(ctx, kind, blocks, request.user.name)
    return RedirectAnswer(f"{BASE}/{kind}?saved=1")


def _form(request: PluginRequest, ctx: Context, shown: _Shown) -> Answer:
    about = KINDS[shown.kind]
    values = {
        "shown": shown,
        "about": about,
        "blocks": shown.template.blocks,
        "order": ",".join(one.name for one in shown.template.blocks),
        "sizes": SIZES,
        "longest": LONGEST_TEXT,
        "wrong": {one.field: one for one in shown.problems},
        "is_changed": _differs(shown.template.blocks, about.blocks),
        **_previews(request, ctx, shown.kind, shown.template),
    }
    refused = bool(shown.problems or shown.changed_by)
    return TemplateAnswer("slip.html", values, 422 if refused else 200)


def _previews(
    request: PluginRequest, ctx: Context, kind: str, template: Template
) -> dict[str, object]:
    language = "en" if request.form.get("preview_language") == "en" else "id"
    is_priority = request.form.get("preview_lane") == "priority"
    drawn = previews(kind, template, head_of(ctx, language), is_priority=is_priority)
    return {
        "kind": kind,
        "previews": drawn,
        "preview_language": language,
        "preview_is_priority": is_priority,
    }


def _differs(blocks: Sequence[Block], defaults: Sequence[Block]) -> bool:
    return template_store.write_blocks(blocks) != template_store.write_blocks(defaults)


def _seen(found: template_store.Stored) -> str:
    """What the form was made from: whoever saves another one overwrites nothing unseen."""
    return found.changed_at.isoformat() if found.changed_at else ""


ROUTES = [
    PluginRoute("/slips", overview, Permission.MANAGE_SETTINGS),
    PluginRoute("/slips/{kind}", one, Permission.MANAGE_SETTINGS, ("GET", "POST")),
    PluginRoute("/slips/{kind}/preview", preview, Permission.MANAGE_SETTINGS, ("POST",)),
    PluginRoute("/logo", take_logo, Permission.MANAGE_SETTINGS, ("POST",), logo.MOST_BYTES),
]
"""Below `/x/escpos_printer`."""
