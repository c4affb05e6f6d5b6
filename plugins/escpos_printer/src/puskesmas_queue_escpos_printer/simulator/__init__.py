"""A printer to try things with: a real socket, faults to switch, slips as pictures."""

from puskesmas_queue_escpos_printer.simulator.printer import PrinterSimulator

__all__ = ["PrinterSimulator"]
