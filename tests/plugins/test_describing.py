"""What is said of a plugin's exception, and where it came from."""

import asyncio
import json

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from puskesmas_queue.plugin_host.describing import MOST_PLACES, describe_error, places
from puskesmas_queue.plugin_host.guard import Guard, Raised


def caught(function):
    """Return what a function raises."""
    with pytest.raises(BaseException) as found:  # noqa: PT011
        function()
    return found.value


def test_a_library_is_not_the_place():
    """Whoever reads it wants the line of the plugin, not one deep in json."""

    def parse():
        json.loads("{")

    error = caught(parse)

    assert describe_error(error).endswith(
        f"(test_describing.py:{parse.__code__.co_firstlineno + 1})"
    )
    assert all("json" not in file for file, _, _ in places(error.__traceback__))


def test_a_line_of_a_template_is_the_place(tmp_path):
    """The library that fills it in is outermost, and its folder nobody's home."""
    (tmp_path / "calls.html").write_text("<p>{{ total }}</p>\n<p>{{ totl }}</p>\n")
    jinja = Environment(
        loader=FileSystemLoader(tmp_path), undefined=StrictUndefined, autoescape=True
    )

    error = caught(lambda: jinja.get_template("calls.html").render(total=3))

    assert describe_error(error).endswith("'totl' is undefined (calls.html:2)")


def test_a_coroutine_has_its_place():
    async def fail():
        raise ValueError("broken")

    assert describe_error(caught(lambda: asyncio.run(fail()))).endswith(
        f"(test_describing.py:{fail.__code__.co_firstlineno + 1})"
    )


def test_an_endless_recursion_is_short():
    def deeper():
        deeper()

    error = caught(deeper)

    assert len(places(error.__traceback__)) == MOST_PLACES
    assert len(describe_error(error)) <= 500


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\tand  more", "ValueError: two lines and more"),
        ("", "ValueError"),
        ("bell \a", "ValueError: bell \N{REPLACEMENT CHARACTER}"),
        ("long" * 200, f"ValueError: {'long' * 200}"[:500]),
    ],
)
def test_one_line_whatever_the_text(text, shown):
    assert describe_error(ValueError(text)) == shown


def test_a_text_that_raises():
    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    assert describe_error(Silent()) == "Silent without a text"


@pytest.mark.parametrize("file", ["<string>", "mod.pyx", ""])
def test_code_without_a_folder(file):
    """Made and compiled code names no file that is anywhere."""
    error = caught(lambda: exec(compile("raise ValueError('made')", file, "exec"), {}))

    assert describe_error(error).startswith("ValueError: made (")


@pytest.mark.parametrize("worse", [SystemExit(3), KeyboardInterrupt()])
def test_a_text_that_ends_the_thread_does_not(worse):
    """It is made on the guard's thread, which others need afterwards."""

    class Hostile(Exception):
        def __str__(self):
            raise worse

    def fail():
        raise Hostile

    guard = Guard()

    with pytest.raises(Raised, match="Hostile without a text"):
        guard.call(fail, 5)

    assert guard.call(lambda: 7, 5) == 7
    guard.retire()
