"""Which plugins are used, and with what words the others are not."""

import sys
import threading
import time
from dataclasses import replace

import pytest

from puskesmas_queue.cli.root import COMMANDS
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.domain.options import OPTIONS
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_host import loading
from puskesmas_queue.plugin_host.loading import discover, load, name_problem
from puskesmas_queue.plugin_host.manager import make_manager
from puskesmas_queue.plugin_host.registry import PluginStatus, load_plugins
from puskesmas_queue.settings import SECTIONS
from puskesmas_queue.storage.tables import metadata
from support.distributions import DECIDING, shelf_on_path

pytestmark = pytest.mark.usefixtures("no_official_plugins")

HOOK = "from puskesmas_queue.hookspecs import hookimpl\n"


@pytest.fixture
def shelf(tmp_path):
    """Takes distributions that this test installs."""
    with shelf_on_path(tmp_path) as shelf:
        yield shelf


def reason(name, deadline_s=10.0):
    """Name a plugin as active and return why it is disabled; another one must go on."""
    plugins = load_plugins([name, "good"], (), deadline_s=deadline_s)
    assert plugins.names == ("good",)
    assert plugins.listens("good", "ticket_called")
    status = plugins.status(name)
    assert status.state == "disabled"
    assert "\n" not in status.reason
    return status.reason


# Good ones


def test_nothing_is_installed():
    assert discover() == []
    plugins = load_plugins([], ())
    assert (plugins.statuses, plugins.names, plugins.listeners()) == ((), (), ())


def test_an_active_plugin_is_used(shelf):
    shelf.install("good", version="1.2")

    plugins = load_plugins(["good"], ())

    assert plugins.statuses == (PluginStatus("good", "puskesmas-queue-good", "1.2", "active"),)
    assert plugins.hooks("good") == ("ticket_called",)
    assert plugins.listeners() == ("good",)
    assert plugins.listens("good", "ticket_called")
    assert not plugins.listens("good", "ticket_issued")


def test_an_installed_plugin_that_is_not_active_is_not_even_imported(shelf):
    shelf.install("quiet", "raise SystemExit('imported')")

    plugins = load_plugins([], ())

    assert plugins.status("quiet").state == "available"
    assert plugins.status("quiet").reason is None
    assert "puskesmas_queue_quiet" not in sys.modules


def test_an_object_of_a_module_may_be_the_plugin(shelf):
    shelf.install(
        "thing",
        HOOK + "class Thing:\n"
        "    @hookimpl\n"
        "    def estimate_wait(self, people_ahead):\n"
        "        return None\n"
        "thing = Thing()\n",
        target="puskesmas_queue_thing:thing",
    )

    plugins = load_plugins(["thing"], ())

    assert plugins.hooks("thing") == ("estimate_wait",)
    assert plugins.listeners() == ()


def test_the_first_named_is_asked_first(shelf):
    shelf.install("first", DECIDING)
    shelf.install("second", DECIDING)
    asked = Deciding()

    plugins = load_plugins(["first", "second"], [("number", Deciding())], [("extra", asked)])

    impls = plugins.manager.hook.format_ticket_number.get_hookimpls()
    names = [impl.plugin_name for impl in reversed(impls)]
    assert names == ["extra", "first", "second", "default-number"]
    assert plugins.names == ("second", "first", "extra")


def test_a_name_given_twice_counts_once(shelf):
    shelf.install("good")

    assert load_plugins(["good", "good"], ()).names == ("good",)


# Refusals that need no import


@pytest.mark.parametrize("name", ["Good", "1good", "go", "good-one", "g" * 41, "good.one", "göod"])
def test_the_form_of_a_name(name, shelf):
    shelf.install("good")
    shelf.install(name, distribution="other")

    assert "3 to 40 small letters, digits and underscores" in reason(name)


@pytest.mark.parametrize("name", ["queue", "security", "plugins", "core", "default_x", "topic"])
def test_a_name_that_shadows_the_core(name, shelf):
    shelf.install("good")
    shelf.install(name)

    assert reason(name) == f'the name "{name}" is taken by the core'


def test_no_name_shadows_settings_commands_or_tables():
    sections = {*SECTIONS, *(key.partition(".")[0] for key in OPTIONS)}
    # A plugin's own tables begin with its name and an underscore.
    prefixes = {
        name[:end] for name in metadata.tables for end, sign in enumerate(name) if sign == "_"
    }

    for name in sections | set(COMMANDS) | prefixes:
        assert name_problem(name) is not None, name


def test_the_same_name_from_two_distributions(shelf):
    shelf.install("good")
    shelf.install("twin", distribution="one", version="1.0")
    shelf.install("twin", distribution="two", version="2.0")

    assert reason("twin") == "its name is also offered by two 2.0: uninstall all but one"
    twins = [one for one in load_plugins([], ()).statuses if one.name == "twin"]
    assert [one.distribution for one in twins] == ["one", "two"]
    assert twins[1].reason == "its name is also offered by one 1.0: uninstall all but one"


def test_a_distribution_that_offers_a_name_twice(shelf):
    shelf.install("good")
    offered = "[puskesmas_queue.plugins]\ntwin = one\ntwin = two\n"
    shelf.install("twin", distribution="one", entry_points=offered)

    assert reason("twin") == "one offers this name more than once"


@pytest.mark.parametrize("below", [".", "elsewhere"])
def test_two_versions_of_one_distribution(below, shelf):
    shelf.install("good")
    shelf.install("older", version="1.0")
    shelf.install("older", version="2.0", below=below)

    assert (
        reason("older") == "two versions of puskesmas-queue-older are installed, 1.0, 2.0: "
        "uninstall it, then install one"
    )
    assert len([one for one in discover() if one.name == "older"]) == 1


def test_the_same_version_twice_is_one(shelf):
    shelf.install("good")
    shelf.install("good", below="elsewhere")

    assert load_plugins(["good"], ()).names == ("good",)


def test_what_pip_left_behind_is_not_there(shelf):
    shelf.install("good", version="2.0")
    info = shelf.install("good", version="1.0")
    info.rename(info.with_name("~" + info.name[1:]))

    assert load_plugins(["good"], ()).status("good").version == "2.0"


@pytest.mark.parametrize(
    ("core", "wanted", "is_good"),
    [
        ("0.1.0", ">=99", False),
        ("0.1.0", ">=0.2,<0.3", False),
        ("0.3.0", ">=0.2,<0.3", False),
        ("0.2.0.dev0", ">=0.1,<0.2", False),
        ("0.1.5", ">=0.1,<0.2", True),
        ("0.1.5rc1", ">=0.1,<0.2", True),
        ("0.1.0.dev0", ">=0.1.0.dev0,<0.2", True),
    ],
)
def test_made_for_another_core(core, wanted, is_good, shelf, monkeypatch):
    monkeypatch.setattr(loading, "__version__", core)
    shelf.install("good")
    shelf.install("newer", requires=[f"Puskesmas_Queue{wanted}"])

    if is_good:
        assert load_plugins(["newer"], ()).names == ("newer",)
        return
    said = reason("newer")
    assert said.startswith("it needs Puskesmas_Queue ")
    assert said.endswith(f"but this is {core}")


def test_half_installed_a_requirement_is_missing(shelf):
    shelf.install("good")
    shelf.install("half", requires=["nowhere-to-be-found>=2"])

    assert reason("half") == "it needs nowhere-to-be-found >=2, which is not installed"


def test_half_installed_a_requirement_is_too_old(shelf):
    shelf.install("good", distribution="helper", version="1.5")
    shelf.install("half", requires=["helper>=2"])
    shelf.install("whole", requires=["helper>=1", "helper>=2; extra == 'more'", "x; os_name=='z'"])

    assert reason("half") == "it needs helper >=2, but installed is 1.5"
    assert load_plugins(["whole"], ()).names == ("whole",)


def test_half_installed_no_metadata(shelf):
    shelf.install("good")
    (shelf.install("half") / "METADATA").unlink()

    assert reason("half") == (
        "puskesmas_queue_half-1.0.dist-info is only half installed: install it again"
    )


@pytest.mark.parametrize("text", ["what is ?? this", "x; nonsense == '1'"])
def test_a_requirement_that_nobody_understands(text, shelf):
    shelf.install("good")
    shelf.install("odd", requires=[text])

    assert reason("odd") == f'its requirement "{text}" cannot be read'


def test_a_requirement_whose_version_is_no_version(shelf):
    shelf.install("good", distribution="helper", version="yesterday")
    shelf.install("odd", requires=["helper>=2"])
    shelf.install("even", requires=["helper"])

    assert reason("odd") == "it needs helper >=2, but installed is yesterday"
    assert load_plugins(["even"], ()).names == ("even",)


def test_entry_points_that_cannot_be_read(shelf):
    shelf.install("good")
    shelf.install("odd", distribution="odd", entry_points="[puskesmas_queue.plugins]\nno equals\n")

    assert reason("odd").startswith("its entry points cannot be read")
    assert load(discover()[1]).reason is not None


def test_not_installed_names_the_nearest(shelf):
    shelf.install("good_printer")

    plugins = load_plugins(["good_printr", "zzz"], ())

    assert plugins.names == ()
    assert plugins.status("good_printr") == PluginStatus(
        "good_printr", "", "", "missing", 'it is not installed; did you mean "good_printer"?'
    )
    assert plugins.status("zzz").reason == "it is not installed"
    assert plugins.status("good_printer").state == "available"
    assert plugins.status("nobody") is None


# Refusals at import


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def broken(:\n", "import raised SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "import raised SystemExit: 3"),
        ("import sys; sys.exit('bye')", "import raised SystemExit: bye"),
        (
            "raise KeyboardInterrupt",
            "import raised KeyboardInterrupt (puskesmas_queue_broken.py:1)",
        ),
        ("raise ValueError('two\\nlines \\x1b[31m')", "import raised ValueError: two"),
        ("import nowhere_to_be_found", "import raised ModuleNotFoundError: No module named"),
        ("class E(Exception):\n    def __str__(self): 1/0\nraise E", "import raised E without"),
        ("", "it implements no hook: is @hookimpl missing?"),
        (HOOK + "@hookimpl\ndef ticket_caled(fact): pass", 'unknown hook "ticket_caled"; did you'),
        (HOOK + "@hookimpl\ndef zzzz(): pass", 'unknown hook "zzzz"'),
        (
            HOOK + "@hookimpl\ndef ticket_called(fakt): pass",
            'hook ticket_called: unknown argument "fakt"; did you mean "fact"?',
        ),
        (
            HOOK + "@hookimpl(wrapper=True)\ndef estimate_wait():\n    return (yield)",
            "hook estimate_wait must not be a wrapper",
        ),
        (
            HOOK + "@hookimpl(hookwrapper=True)\ndef ticket_called():\n    yield",
            "hook ticket_called must not be a wrapper",
        ),
        (
            HOOK + "@hookimpl\ndef ticket_called():\n    yield",
            "hook ticket_called must return its answer",
        ),
        (
            "def __dir__(): raise ValueError('no looking')",
            "registration raised ValueError: no looking",
        ),
    ],
)
def test_a_module_that_cannot_be_used(code, words, shelf):
    shelf.install("good")
    shelf.install("broken", code)

    assert words in reason("broken")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("odd:NOTHING", "it is None: a module or an instance is needed"),
        ("odd:TEXT", "it implements no hook"),
        ("odd:Class", "it is a class: a module or an instance is needed"),
        ("odd:not_there", "import raised AttributeError: module 'odd' has no attribute"),
        ("not_there", "import raised ModuleNotFoundError: No module named 'not_there'"),
        ("what is: this?", "import raised"),
    ],
)
def test_an_object_that_cannot_be_registered(target, words, shelf):
    shelf.install("good")
    code = "NOTHING, TEXT = None, 'text'\nclass Class: pass"
    shelf.install("odd_one", code, distribution="odd", target=target)

    assert words in reason("odd_one")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("sleeping", "import time\ntime.sleep(5)"),
        ("spinning", "while True:\n    pass"),
        (
            "locked",
            "import threading\nlock = threading.Lock()\nwith lock: lock.acquire(timeout=5)",
        ),
        ("asked", "def __dir__():\n    while True: pass"),
    ],
)
def test_an_import_that_blocks_is_given_up(name, code, shelf):
    """Each is a module of its own: what is left behind keeps the lock of its import."""
    shelf.install("good")
    shelf.install(name, code)
    started = time.monotonic()

    assert reason(name, deadline_s=1.0) == "import did not finish in 1 s"

    # Python 3.11, where it is traced (coverage), waits for a thread that is to be ended.
    assert time.monotonic() - started < 30 or sys.gettrace() is not None


def test_a_spinning_import_is_ended_and_leaves_no_thread(shelf):
    shelf.install("spinning_on", "while True:\n    pass")
    before = set(threading.enumerate())

    load(discover()[0], deadline_s=0.2)

    until = time.monotonic() + 60
    while (left := set(threading.enumerate()) - before) and time.monotonic() < until:
        time.sleep(0.01)
    assert left == set()


def test_a_good_import_leaves_no_thread(shelf):
    shelf.install("good")
    before = set(threading.enumerate())

    assert load(discover()[0]).hooks == ("ticket_called",)

    until = time.monotonic() + 60
    while (left := set(threading.enumerate()) - before) and time.monotonic() < until:
        time.sleep(0.01)
    assert left == set()


def test_a_problem_that_was_found_is_the_reason(shelf):
    shelf.install("quiet", "raise SystemExit")
    found = replace(discover()[0], problems=("first", "second"))

    assert load(found).reason == "first"
    assert "puskesmas_queue_quiet" not in sys.modules


def test_the_server_logs_what_it_goes_without(shelf, caplog):
    shelf.install("good")
    shelf.install("broken", "1/0")

    load_plugins(["good", "broken", "gone"], ()).log_broken()

    assert [record.getMessage() for record in caplog.records] == [
        "plugin broken is disabled: import raised ZeroDivisionError: division by zero "
        "(puskesmas_queue_broken.py:1)",
        "plugin gone is missing: it is not installed",
    ]


# Registration


class Deciding:
    @hookimpl
    def format_ticket_number(self, prefix, sequence):
        return f"{prefix}{sequence}"


class Wrapping:
    @hookimpl(wrapper=True)
    def format_ticket_number(self):
        return (yield)


class Misspelt:
    @hookimpl
    def format_tiket_number(self):
        return "A"


class Optional:
    @hookimpl(optionalhook=True)
    def hook_of_a_newer_core(self):
        return None


@pytest.mark.parametrize("plugin", [Wrapping(), Misspelt(), Deciding, None])
def test_a_refused_plugin_leaves_the_manager_as_it_was(plugin):
    for make in (make_manager, lambda built_in, extra: load_plugins([], built_in, extra)):
        with pytest.raises(SetupError, match="plugin odd"):
            make((), [("odd", plugin)])
    manager = make_manager((), [("deciding", Deciding())])

    assert loading.register(manager, "odd", plugin) is not None

    assert [name for name, _ in manager.list_name_plugin()] == ["deciding"]
    manager.check_pending()


def test_names_of_the_core_and_names_that_are_taken():
    with pytest.raises(SetupError, match="are the core's"):
        make_manager((), [("default-x", Deciding())])
    with pytest.raises(SetupError, match="are the core's"):
        load_plugins([], (), [("default-x", Deciding())])
    manager = make_manager((), [("deciding", Deciding())])
    assert "registered already" in loading.register(manager, "deciding", Optional())


def test_a_hook_that_may_be_missing_is_none_of_the_core():
    plugins = load_plugins([], (), [("optional", Optional())])

    assert plugins.hooks("optional") == ()


def test_built_in_plugins_are_not_among_the_plugins():
    plugins = load_plugins([], [("number", Deciding())], [("extra", Deciding())])

    assert plugins.names == ("extra",)
    assert plugins.statuses == (PluginStatus("extra", "", "", "active"),)
    assert plugins.manager.has_plugin("default-number")
