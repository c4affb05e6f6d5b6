"""What is printed: tickets, tickets once more, test pages, and whatever else is laid out."""

import time
from collections.abc import Callable

from puskesmas_queue.api import Context, Slip
from puskesmas_queue_escpos_printer import encoding, jobs, printers, slips
from puskesmas_queue_escpos_printer.jobs import Job, Order
from puskesmas_queue_escpos_printer.printers import Printer
from puskesmas_queue_escpos_printer.printing import Outcome, print_job
from puskesmas_queue_escpos_printer.template_store import template_of
from puskesmas_queue_escpos_printer.values import TestFacts, head_of


def print_ticket(ctx: Context, slip: Slip) -> Outcome:
    """
    Print a ticket by the printers of its place.

    Raises:
        PluginDataUnavailable: Nothing was printed.
    """
    began = time.monotonic()
    order = Order(
        subject=slip.ticket.code,
        job=slip.job,
        kind="ticket",
        number=slip.ticket.number,
        place=slip.place,
        place_name=slip.place_name[: printers.LONGEST_PLACE],
        slip=slips.write_slip(slip),
    )
    return _print_slip(ctx, order, slip, began)


def print_again(ctx: Context, job: Job, new_job: str) -> Outcome:
    """
    Print a ticket once more, with the same number; what was printed before counts as settled.

    Args:
        ctx: Of the plugin.
        job: What was printed before; its order has a slip.
        new_job: The same for a second click.

    Raises:
        ValueError: Its slip is of another version of the server.
        PluginDataUnavailable: Nothing was printed.
    """
    began = time.monotonic()
    slip = slips.read_slip(job.order.slip, new_job, ctx.zone)
    before = job.order
    order = Order(
        before.subject,
        new_job,
        before.kind,
        before.number,
        before.place,
        before.place_name,
        before.slip,
    )
    outcome = _print_slip(ctx, order, slip, began)
    jobs.settle(ctx, before, is_printed=False)
    return outcome


def print_test(ctx: Context, printer: Printer, job: str, language: str) -> Outcome:
    """
    Print a test page.

    Raises:
        PluginDataUnavailable: Nothing was printed.
    """
    template = template_of(ctx, "test")

    def encode(one: Printer) -> bytes:
        facts = TestFacts(one.name, one.profile)
        return encoding.encode_test_page(facts, head_of(ctx, language), template)

    return print_document(ctx, "test", job, [printer], encode)


def print_document(
    ctx: Context, kind: str, job: str, choice: list[Printer], encode: Callable[[Printer], bytes]
) -> Outcome:
    """
    Print something that belongs to no ticket.

    Args:
        ctx: Of the plugin.
        kind: `test`, `day` or the like: 12 letters at most.
        job: The same for a second click.
        choice: By which printers, first choice first.
        encode: Makes what is sent to a printer.

    Raises:
        PluginDataUnavailable: Nothing was printed.
    """
    return print_job(ctx, Order(kind, job, kind), choice, encode)


def _print_slip(ctx: Context, order: Order, slip: Slip, began: float) -> Outcome:
    template = template_of(ctx, "ticket")
    choice = printers.order_for(ctx, order.place, order.place_name)

    def encode(one: Printer) -> bytes:
        return encoding.encode_ticket(slip, template, one.profile)

    return print_job(ctx, order, choice, encode, began=began)
