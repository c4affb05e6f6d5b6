"""The table of pronunciations, which the administrator corrects: `/x/tts/words`."""

from dataclasses import dataclass
from urllib.parse import urlencode

from puskesmas_queue.api import Answer, Context, PluginRequest, RedirectAnswer, TemplateAnswer
from puskesmas_queue_tts import pronunciation
from puskesmas_queue_tts.clinic_voice import voice_of
from puskesmas_queue_tts.pronunciation import ENGINES, LANGUAGES, Entry, Wrong
from puskesmas_queue_tts.tables import LONGEST_RESPELLED, LONGEST_WRITTEN

PAGE = "/x/tts/words"


@dataclass(frozen=True, slots=True)
class Form:
    """
    What stands in the form.

    Args:
        written: The word.
        spoken: What is spoken in its place.
        engine: For which voice; empty for all.
        is_known: Whether a word of the table is being changed.
    """

    written: str = ""
    spoken: str = ""
    engine: str = ""
    is_known: bool = False


def show(request: PluginRequest, ctx: Context) -> Answer:
    """Show the table of a language, with a word of it in the form where one was chosen."""
    language = _language(request.query.get("language", ""))
    entries = pronunciation.load(ctx).listed(language)
    chosen = request.query.get("written", ""), request.query.get("engine", "")
    found = next((one for one in entries if (one.written, one.engine) == chosen), None)
    form = Form(found.written, found.spoken, found.engine, is_known=True) if found else Form()
    return _page(language, entries, form, done=request.query.get("done", ""))


def save(request: PluginRequest, ctx: Context) -> Answer:
    """Store how a word is pronounced."""
    language = _language(request.form.get("language", ""))
    form = Form(
        request.form.get("written", ""),
        request.form.get("spoken", ""),
        request.form.get("engine", ""),
        request.form.get("known", "") == "1",
    )
    wrong = pronunciation.say(ctx, language, form.engine, form.written, form.spoken)
    if wrong is not None:
        return _page(language, pronunciation.load(ctx).listed(language), form, wrong)
    voice_of(ctx).changed()
    return _back(language, "saved")


def forget(request: PluginRequest, ctx: Context) -> Answer:
    """Take back what the clinic said of a word."""
    language = _language(request.form.get("language", ""))
    form = request.form
    pronunciation.forget(ctx, language, form.get("engine", ""), form.get("written", ""))
    voice_of(ctx).changed()
    return _back(language, "forgotten")


def _page(
    language: str, entries: list[Entry], form: Form, wrong: Wrong | None = None, done: str = ""
) -> Answer:
    values = {
        "language": language,
        "languages": LANGUAGES,
        "entries": entries,
        "form": form,
        "engines": ENGINES,
        "wrong": wrong,
        "field": "spoken" if wrong == "spoken" else "written",
        "longest_written": LONGEST_WRITTEN,
        "longest_spoken": LONGEST_RESPELLED,
        "most": pronunciation.MOST_OWN,
        "done": done,
    }
    return TemplateAnswer("words.html", values, 200 if wrong is None else 422)


def _back(language: str, done: str) -> Answer:
    return RedirectAnswer(f"{PAGE}?{urlencode({'language': language, 'done': done})}")


def _language(text: str) -> str:
    return text if text in LANGUAGES else LANGUAGES[0]
