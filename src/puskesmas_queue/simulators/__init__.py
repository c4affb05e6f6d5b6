"""A clinic's day without people: for the demo, for measuring and for tests."""
