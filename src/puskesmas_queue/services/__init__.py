"""Use cases: one transaction each, committed when they return."""
