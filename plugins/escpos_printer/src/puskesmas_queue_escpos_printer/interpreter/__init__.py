"""Reads what a printer is sent, and draws what it would print."""
