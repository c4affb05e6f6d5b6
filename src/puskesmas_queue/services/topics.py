"""Names of what has versions."""


def line_topic(zone: str) -> str:
    """Name the topic of a zone's line: tickets, counters, places."""
    return f"line:{zone}"


def speech_topic(zone: str) -> str:
    """Name the topic of a zone's announcements."""
    return f"speech:{zone}"
