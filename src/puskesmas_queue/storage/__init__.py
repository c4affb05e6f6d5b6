"""Storage: the only place that imports SQLAlchemy and knows the dialect."""
