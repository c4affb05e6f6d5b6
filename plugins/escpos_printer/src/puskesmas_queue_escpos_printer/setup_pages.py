"""What an administrator says of printers, and of which place uses which."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast, get_args

from puskesmas_queue.api import (
    Answer,
    Context,
    PluginRequest,
    RedirectAnswer,
    TemplateAnswer,
)
from puskesmas_queue_escpos_printer import documents, printers, watch
from puskesmas_queue_escpos_printer.pages import printer_values
from puskesmas_queue_escpos_printer.paper import CODE_PAGES, WIDTHS, Cut, Images
from puskesmas_queue_escpos_printer.printers import Place, PrinterSetup
from puskesmas_queue_escpos_printer.transports.opening import KINDS, WrongAddress, read_address

PRINTERS = "/x/escpos_printer/printers"
RANKS = (1, 2, 3)
"""How many printers a place has in a row."""
IMAGES, CUTS = get_args(Images), get_args(Cut)
Errors = list[tuple[str, str]]
"""The field's id, and which problem; the template has its words."""


def show(request: PluginRequest, ctx: Context) -> Answer:
    """Show the printers, and which place uses which."""
    return _list(request, ctx)


def add(request: PluginRequest, ctx: Context) -> Answer:
    """Show an empty form, or take a filled one."""
    if request.method == "GET":
        return _form(None, asdict(PrinterSetup("", "tcp", "")), [])
    setup, errors = _read(request.form)
    if setup is not None:
        try:
            printer_id = printers.add(ctx, setup)
        except printers.NameTaken:
            errors = [("name", "taken")]
        except printers.TooMany:
            errors = [("name", "many")]
        else:
            return _saved(ctx, printer_id)
    return _form(None, request.form, errors)


def change(request: PluginRequest, ctx: Context) -> Answer:
    """Show a printer's form, or take it."""
    printer = printers.find(ctx, request.values["printer_id"])
    if printer is None:
        return RedirectAnswer(PRINTERS)
    if request.method == "GET":
        return _form(printer, asdict(printer.setup), [])
    setup, errors = _read(request.form)
    if setup is not None:
        try:
            printers.change(ctx, printer.printer_id, setup)
        except printers.NameTaken:
            errors = [("name", "taken")]
        else:
            return _saved(ctx, printer.printer_id)
    return _form(printer, request.form, errors)


def remove(request: PluginRequest, ctx: Context) -> Answer:
    """Ask whether a printer is to go, and let it go."""
    printer = printers.find(ctx, request.values["printer_id"])
    if printer is None:
        return RedirectAnswer(PRINTERS)
    if request.method == "GET":
        return TemplateAnswer("printer_remove.html", {"printer": printer})
    printers.remove(ctx, printer.printer_id)
    return RedirectAnswer(f"{PRINTERS}?told=removed")


def test(request: PluginRequest, ctx: Context) -> Answer:
    """Print a test page."""
    printer = printers.find(ctx, request.values["printer_id"])
    job = request.form.get("job", "")[:64]
    if printer is None or not job:
        return RedirectAnswer(PRINTERS)
    outcome = documents.print_test(ctx, printer, job, request.language)
    reason = "" if outcome.reason is None else outcome.reason.value
    return RedirectAnswer(f"{PRINTERS}?told={outcome.state}&reason={reason}")


def set_place(request: PluginRequest, ctx: Context) -> Answer:
    """Take which printers a place uses; without any the place has no line of its own."""
    form = request.form
    kind, _, name = form.get("place", "").partition(":")
    if kind not in printers.PLACE_KINDS:
        kind, name = form.get("kind", ""), form.get("place_name", "").strip()
    problem = _place_problem(kind, name)
    if problem is not None:
        return _list(request, ctx, [("place_name", problem)])
    known = {one.printer_id for one in printers.all_printers(ctx)}
    chosen = [form.get(f"rank{rank}", "") for rank in RANKS]
    place = cast("Place", kind)
    printers.set_place(ctx, place, name, [one for one in chosen if one in known])
    return RedirectAnswer(f"{PRINTERS}?told=saved#places-title")


# Inside


def _list(request: PluginRequest, ctx: Context, errors: Errors | None = None) -> Answer:
    query = request.query
    lines = printers.places(ctx)
    values = {
        **printer_values(ctx),
        "lines": lines,
        "ranks": RANKS,
        "form": request.form,
        "errors": errors or [],
        "told": query.get("told", ""),
        "reason": query.get("reason", ""),
        "token": lambda: f"test-{secrets.token_urlsafe(15)}",
    }
    return TemplateAnswer("printers.html", values, 422 if errors else 200)


def _place_problem(kind: str, name: str) -> str | None:
    if kind not in printers.PLACE_KINDS or len(name) > printers.LONGEST_PLACE:
        return "place"
    is_number = name == printers.EVERY or (name.isascii() and name.isdigit())
    return None if kind == "kiosk" or is_number else "counter"


def _saved(ctx: Context, printer_id: str) -> Answer:
    """See at once whether it is there: a wrong address shows on the next page."""
    printer = printers.find(ctx, printer_id)
    if printer is not None and printer.is_active:
        watch.look_at_all(ctx, [printer])
    return RedirectAnswer(f"{PRINTERS}?told=saved")


def _read(form: Mapping[str, str]) -> tuple[PrinterSetup | None, Errors]:
    """Read a printer's form; None where something is wrong."""
    errors: Errors = []
    name, kind = " ".join(form.get("name", "").split()), form.get("kind", "")
    if not name:
        errors.append(("name", "empty"))
    elif len(name) > printers.LONGEST_NAME:
        errors.append(("name", "long"))
    address = ""
    if kind not in KINDS:
        errors.append(("kind", "kind"))
    else:
        try:
            address = read_address(kind, form.get("address", ""))
        except WrongAddress:
            errors.append(("address", kind))
    known: list[tuple[str, tuple[object, ...]]] = [
        ("width_mm", WIDTHS),
        ("code_page", CODE_PAGES),
        ("images", IMAGES),
        ("cut", CUTS),
    ]
    chosen: dict[str, Any] = {}
    for key, options in known:
        text = form.get(key, "")
        found = [one for one in options if str(one) == text]
        if not found:
            errors.append((key, "choice"))
        chosen[key] = found[0] if found else None
    if errors:
        return None, errors
    # What is given to CUPS is never heard of again.
    is_answering = kind != "cups" and "is_answering" in form
    is_active = "is_active" in form
    return PrinterSetup(name, kind, address, is_answering, is_active=is_active, **chosen), []


def _form(printer: printers.Printer | None, typed: Mapping[str, Any], errors: Errors) -> Answer:
    values = {
        "printer": printer,
        "typed": {key: str(value) for key, value in typed.items()},
        "checked": {key for key in ("is_answering", "is_active") if typed.get(key)},
        "errors": errors,
        "kinds": KINDS,
        "widths": WIDTHS,
        "code_pages": CODE_PAGES,
        "images": IMAGES,
        "cuts": CUTS,
        "longest": printers.LONGEST_NAME,
    }
    return TemplateAnswer("printer_form.html", values, 422 if errors else 200)
