"""Finds plugins, keeps them apart, and calls their hooks."""
