"""The browser as an announcer: the TV speaks with a voice of its own."""

from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_ports import Announcer, Speech, Utterance


def speak(utterance: Utterance, ctx: Context) -> Speech:
    """Leave it to the page."""
    return Speech()


@hookimpl
def register_announcers() -> list[Announcer]:
    """Bring the announcer `browser`."""
    return [Announcer("browser", speak)]
