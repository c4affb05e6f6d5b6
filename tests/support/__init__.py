"""What tests lean on: a private PostgreSQL, a browser, the real server."""
