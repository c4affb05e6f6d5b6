"""Numbers by family unit, calls reported to a webhook, a panel at the counter."""
