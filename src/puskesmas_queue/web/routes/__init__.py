"""One module per screen, each with its `routes`."""
