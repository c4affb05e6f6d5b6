"""The browser as an announcer: the TV speaks with a voice of its own."""

from puskesmas_queue.domain.announcements import Announcement
from puskesmas_queue.extensions import Announcer, Context, Speech
from puskesmas_queue.hookspecs import hookimpl


def speak(announcement: Announcement, language: str, ctx: Context) -> Speech:
    """Leave it to the page."""
    return Speech()


@hookimpl
def register_announcers() -> list[Announcer]:
    """Bring the announcer `browser`."""
    return [Announcer("browser", speak)]
