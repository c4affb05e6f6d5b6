"""Ways to a printer: network, device file, serial line, CUPS."""
