"""The browser as an announcer: the TV speaks with a voice of its own."""

from puskesmas_queue.extensions import Announcer, Context, Speech, Utterance
from puskesmas_queue.hookspecs import hookimpl


def speak(utterance: Utterance, ctx: Context) -> Speech:
    """Leave it to the page."""
    return Speech()


@hookimpl
def register_announcers() -> list[Announcer]:
    """Bring the announcer `browser`."""
    return [Announcer("browser", speak)]
