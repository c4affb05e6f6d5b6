"""Queue and registration server for Indonesian primary-care clinics (puskesmas)."""

__version__ = "0.1.0.dev0"
