"""The browser as a printer: the page that shows a number prints it."""

from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_ports import Printed, Printer, Slip


def print_slip(slip: Slip, ctx: Context) -> Printed:
    """Leave it to the page."""
    return Printed("by_page")


@hookimpl
def register_printers() -> list[Printer]:
    """Bring the printer `browser`."""
    return [Printer("browser", print_slip)]
