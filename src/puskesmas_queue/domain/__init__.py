"""The rules of the line, in plain Python: no SQL, HTTP, clock or plugin."""
