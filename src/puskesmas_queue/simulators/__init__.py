"""A clinic's morning without people: for the demo, for measuring and for tests."""
