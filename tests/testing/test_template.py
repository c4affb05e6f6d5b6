"""What `plugin new` writes keeps to what plugins may import."""

import re

from puskesmas_queue.cli.new_plugin import distribution


def test_it_imports_what_plugins_may():
    texts = "\n".join(distribution("family_numbers").values())

    modules = re.findall(r"^\s*(?:from|import) (puskesmas_queue(?:\.\w+)*)\b", texts, re.MULTILINE)
    assert set(modules) == {"puskesmas_queue.api", "puskesmas_queue.testing"}


def test_its_tests_come_with_the_extra():
    written = distribution("family_numbers")

    assert '"puskesmas-queue[testing]"' in written["pyproject.toml"]
    assert "(PluginContract)" in written["tests/test_plugin.py"]
