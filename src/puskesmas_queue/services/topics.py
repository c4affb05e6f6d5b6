"""Names of what has versions."""

PRINTERS_TOPIC = "printers"
"""Given a new version when a printer began to fail or to print again."""
VOICES_TOPIC = "voices"
"""Given a new version when a hall fell silent or is heard again."""


def line_topic(zone: str) -> str:
    """Name the topic of a zone's line: tickets, counters, places."""
    return f"line:{zone}"


def speech_topic(zone: str) -> str:
    """Name the topic of a zone's announcements."""
    return f"speech:{zone}"
