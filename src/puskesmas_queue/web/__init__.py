"""Pages: routes, templates and what stands before them."""
