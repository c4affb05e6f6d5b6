"""What every plugin keeps to, as tests that its own tests inherit."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.days import service_date
from puskesmas_queue.domain.errors import TicketObjected
from puskesmas_queue.extensions import Health, HealthCheck
from puskesmas_queue.hookspecs import (
    DecisionHooks,
    FactHooks,
    LifeHooks,
    RegistrationHooks,
    VetoHooks,
)
from puskesmas_queue.plugin_host.asking import ask_plugin
from puskesmas_queue.plugin_host.dispatch import BUSY
from puskesmas_queue.plugin_host.loading import GROUP, name_problem
from puskesmas_queue.plugin_host.outcomes import Outcome, PluginFailed
from puskesmas_queue.plugin_host.registry import load_plugins
from puskesmas_queue.services import facts
from puskesmas_queue.storage import migrate
from puskesmas_queue.storage.faults import FaultRow
from puskesmas_queue.storage.outbox import Delivery
from puskesmas_queue.storage.plugin_data import PluginDatabase
from puskesmas_queue.testing.anew import NotImportable, imported_anew
from puskesmas_queue.testing.clinic import ClinicUnderTest, MovedClock
from puskesmas_queue.testing.hall import play_morning, questions
from puskesmas_queue.testing.screens import is_refused, screens
from puskesmas_queue.testing.silence import silent_network

__all__ = ["PluginContract"]
HOOKS = tuple(
    name
    for kind in (RegistrationHooks, DecisionHooks, VetoHooks, FactHooks, LifeHooks)
    for name in vars(kind)
    if not name.startswith("_")
)
REGISTRATION_HOOKS = tuple(name for name in vars(RegistrationHooks) if not name.startswith("_"))
REGISTRATION_S = 1.0
CHECK_S = 5.0
TIMES = 10


class PluginContract:
    """
    The tests that every plugin passes.

    ```python
    class TestContract(PluginContract):
        name = "my_plugin"
        plugin = my_module
    ```
    """

    name: str
    """What the entry point calls the plugin."""
    plugin: object
    """The module or instance that the entry point leads to."""
    settings: Mapping[str, str] = MappingProxyType({})
    """What an administrator types into its form; needed where a field has no default."""
    online: Mapping[str, str] = MappingProxyType({})
    """
    What is typed besides, so that it talks to its foreign side: an address at `example.org`, say.

    Used only where nobody answers.
    """

    def database_url(self, folder: Path) -> str | None:
        """
        Return the database of the clinic in a folder; None for a file of SQLite in there.

        Override it to run the contract on PostgreSQL: a database of its own for each test.
        """
        return None

    @contextmanager
    def anew(self) -> Iterator[object]:
        """
        Give the plugin as the next process has it, with nothing in its memory.

        Override it for an instance that no module holds: yield another one, just made.
        """
        with imported_anew(self.plugin) as plugin:
            yield plugin

    @contextmanager
    def opened(
        self,
        folder: Path,
        *,
        is_configured: bool = True,
        clock: MovedClock | None = None,
        plugin: object = None,
        more: Mapping[str, str] | None = None,
    ) -> Iterator[ClinicUnderTest]:
        """
        Open a clinic with the plugin.

        Args:
            folder: Where its files are; one that is there goes on.
            is_configured: Whether its settings are filled in.
            clock: Where time comes from.
            plugin: Who stands in for it: the same, imported anew.
            more: What is typed into its form besides.
        """
        settings = {**self.settings, **(more or {})} if is_configured else {}
        with ClinicUnderTest(
            folder,
            [(self.name, self.plugin if plugin is None else plugin)],
            settings={self.name: settings} if settings else None,
            clock=clock,
            url=self.database_url(folder),
        ) as clinic:
            yield clinic

    # Loading

    def test_loads_alone(self) -> None:
        """The server takes it, without any other plugin; its hooks are the server's."""
        plugins = load_plugins((), (), [(self.name, self.plugin)])

        assert plugins.hooks(self.name), "it implements no hook: is @hookimpl missing?"

    def test_every_hook_is_marked(self) -> None:
        """No function is called like a hook without being one."""
        marked = load_plugins((), (), [(self.name, self.plugin)]).hooks(self.name)

        forgotten = [
            hook
            for hook in HOOKS
            if callable(getattr(self.plugin, hook, None)) and hook not in marked
        ]
        assert not forgotten, f"@hookimpl is missing on {', '.join(forgotten)}"

    def test_its_name_is_its_entry_point(self) -> None:
        """Its name may be used, and is the one that it is installed under."""
        problem = name_problem(self.name)
        assert problem is None, problem
        value = _module_name(self.plugin)
        for one in entry_points(group=GROUP):
            if one.value.partition(":")[0] == value:
                assert one.name == self.name, f"it is installed as {one.name}"

    # Settings

    def test_works_without_settings(self, tmp_path: Path) -> None:
        """A clinic that filled in nothing works, with `ctx.config` as the defaults or None."""
        with self.opened(tmp_path, is_configured=False) as clinic:
            play_morning(clinic)
            _assert_no_faults(clinic)

    def test_works_with_broken_settings(self, tmp_path: Path) -> None:
        """Stored nonsense makes `ctx.config` None and breaks nothing."""
        clock = MovedClock()
        with self.opened(tmp_path, clock=clock) as clinic:
            clinic.spoil_settings(self.name)
        with self.opened(tmp_path, is_configured=False, clock=clock) as clinic:
            play_morning(clinic)
            _assert_no_faults(clinic)

    # Working

    def test_a_morning_goes_without_fault(self, tmp_path: Path) -> None:
        """Tickets are issued, called, served, skipped, held and cancelled; the day ends."""
        with self.opened(tmp_path) as clinic:
            play_morning(clinic)
            _assert_no_faults(clinic)

    def test_redelivery_changes_nothing(self, tmp_path: Path) -> None:
        """A fact that comes again, with the same `fact.id`, leaves its tables as they are."""
        with self.opened(tmp_path) as clinic:
            data = clinic.clinic.plugin_data.get(self.name)

            def twice(inner: Clinic, plugin: str, one: Delivery) -> Outcome:
                outcome = facts.deliver(inner, plugin, one)
                assert outcome.is_good, f"{one.kind}: {outcome.detail}"
                before = {} if data is None else data.tables()
                again = facts.deliver(inner, plugin, replace(one, attempts=one.attempts + 1))
                assert again.is_good, f"{one.kind} for the second time: {again.detail}"
                after = {} if data is None else data.tables()
                assert after == before, f"{one.kind} for the second time changed its tables"
                return outcome

            play_morning(clinic, lambda: clinic.deliver(twice))

    def test_redelivery_after_a_restart_changes_nothing(self, tmp_path: Path) -> None:
        """The same in the next process, in which nothing is left of what it kept in memory."""
        clock, told = MovedClock(), list[Delivery]()

        def once(inner: Clinic, plugin: str, one: Delivery) -> Outcome:
            told.append(one)
            return facts.deliver(inner, plugin, one)

        with self._next_process(tmp_path, clock) as clinic:
            play_morning(clinic, lambda: clinic.deliver(once))
        with self._next_process(tmp_path, clock) as clinic:
            data = clinic.clinic.plugin_data.get(self.name)
            before = {} if data is None else data.tables()
            for one in told:
                again = replace(one, attempts=one.attempts + 1)
                outcome = facts.deliver(clinic.clinic, self.name, again)
                assert outcome.is_good, f"{one.kind} after a restart: {outcome.detail}"
                after = {} if data is None else data.tables()
                assert after == before, f"{one.kind} after a restart changed its tables"

    def test_silence_is_borne(self, tmp_path: Path) -> None:
        """With a foreign side that takes its connections and never answers, it ends in time."""
        seen = set[str]()

        def first(inner: Clinic, plugin: str, one: Delivery) -> Outcome:
            if one.kind in seen:
                return Outcome(is_good=True)
            seen.add(one.kind)
            # To fail is right: the server tells it again.
            facts.deliver(inner, plugin, one)
            return Outcome(is_good=True)

        with silent_network() as network:
            with self.opened(tmp_path, more=self.online) as clinic:
                play_morning(clinic, lambda: clinic.deliver(first))
                self._use_providers(clinic)
                for check in clinic.clinic.contributions.health_checks(self.name):
                    with suppress(PluginFailed):
                        _look(clinic, self.name, check)
                late = [row for row in _faults(clinic) if row.kind == "overran"]
            assert not late, "; ".join(f"{row.hook}: {row.detail}" for row in late)
            assert network.count or not self.online, "it connected to nobody: is `online` right?"

    def test_decisions_are_quick_and_sound(self, tmp_path: Path) -> None:
        """
        Each decision and veto answers in 100 ms, for each lane, with what can be used.

        A late answer counts for nothing while even the one who waited had no turn in time.
        """
        with self.opened(tmp_path) as clinic:
            for ask in questions(clinic):
                for turn in range(1, TIMES + 1):
                    ask(turn)
            hooks, now = clinic.clinic.hooks, clinic.clock.now()
            day = service_date(now, clinic.clinic.timezone)
            numbers = [
                hooks.format_ticket_number(prefix, turn, day, now)
                for prefix in ("A", "B", "P")
                for turn in range(1, TIMES + 1)
            ]
            _assert_no_faults(clinic)
            assert len(set(numbers)) == len(numbers), "two tickets have the same number"

    # What it brings

    def test_registration_is_quick_and_sound(self, tmp_path: Path) -> None:
        """What it brings is there within a second, and all of it can be used."""
        with self.opened(tmp_path / "clinic") as opened:
            clinic, context = opened.clinic, opened.context(self.name)
            for hook in REGISTRATION_HOOKS:
                ask_plugin(clinic.plugins.manager, self.name, hook, context, REGISTRATION_S)
            clinic.configs.form(self.name)
            brought = clinic.contributions
            routes, nav = brought.routes(self.name), brought.nav(self.name)
            brought.panels(self.name)
            brought.command(self.name)
            checks, simulators = brought.health_checks(self.name), brought.simulators(self.name)
            brought.printers()
            brought.announcers()
            _assert_no_faults(opened)
            paths = {route.path for route in routes if "GET" in route.methods}
            for item in nav:
                assert item.path in paths, f"the link {item.path} leads to no page"
            for check in checks:
                found = _look(opened, self.name, check)
                assert isinstance(found, Health), f"check {check.name} answered {found!r}"
            for simulator in simulators:
                folder = tmp_path / simulator.name
                folder.mkdir()
                running = simulator.start(folder, 0)
                try:
                    assert running.url, f"simulator {simulator.name} has no address"
                finally:
                    running.stop()

    def test_printers_and_announcers_answer(self, tmp_path: Path) -> None:
        """Each prints or speaks, or says that it did not; none raises or takes too long."""
        with self.opened(tmp_path) as clinic:
            self._use_providers(clinic)
            _assert_no_faults(clinic)

    def test_pages_answer_and_refuse(self, tmp_path: Path) -> None:
        """Each page and panel answers those who may see it, an empty form too, and nobody else."""
        with self.opened(tmp_path) as clinic:
            found = list(screens(clinic, self.name))
            for one in found:
                status = one.ask(clinic, one.role(is_allowed=True)).status_code
                # What was asked for may not be there, and a form wants to be filled in.
                limit = 500 if one.method == "POST" or one.is_open_ended else 400
                assert status < limit, f"{one.method} {one.path} answered {status}"
                if one.is_guarded:
                    assert is_refused(one.ask(clinic)), f"{one.path} answers without a login"
                    other = one.role(is_allowed=False)
                    refused = other is None or is_refused(one.ask(clinic, other))
                    assert refused, f"{one.path} answers {other}"
            # A plugin that keeps what it was told shows something else now.
            clinic.deliver()
            for one in (one for one in found if one.method == "GET" and not one.is_open_ended):
                status = one.ask(clinic, one.role(is_allowed=True)).status_code
                assert status < 400, f"{one.path} answered {status} once it was told of a call"
            _assert_no_faults(clinic)

    # Tables

    def test_migrations_go_up_and_down(self, tmp_path: Path) -> None:
        """Its tables begin with its name, can be taken away and made again."""
        with self.opened(tmp_path) as clinic:
            data = clinic.clinic.plugin_data.get(self.name)
            if not isinstance(data, PluginDatabase):
                return
            data.prepare()
            made = set(data.tables())
            data.downgrade()
            data.prepare()
            assert set(data.tables()) == made, "its tables differ the second time"
            _assert_no_faults(clinic)

    def test_uninstalling_leaves_the_clinic_whole(self, tmp_path: Path) -> None:
        """Without it the same clinic goes on, and the core's tables are as they should be."""
        clock = MovedClock()
        with self.opened(tmp_path, clock=clock) as clinic:
            play_morning(clinic)
        with ClinicUnderTest(tmp_path, clock=clock, url=self.database_url(tmp_path)) as clinic:
            ticket = clinic.issue()
            called = clinic.call_next()
            assert called is not None, f"{ticket.number} is not called"
            differences = migrate.check(clinic.config.database.url)
            assert not differences, "; ".join(differences)

    @contextmanager
    def _next_process(self, folder: Path, clock: MovedClock) -> Iterator[ClinicUnderTest]:
        with ExitStack() as stack:
            try:
                plugin = stack.enter_context(self.anew())
            except NotImportable:
                plugin = None
            clinic = stack.enter_context(self.opened(folder, clock=clock, plugin=plugin))
            has_tables = self.name in clinic.clinic.plugin_data
            assert plugin or not has_tables, "it cannot be imported anew: override `anew`"
            yield clinic

    def _use_providers(self, clinic: ClinicUnderTest) -> None:
        """Let each of its printers and announcers do something in both languages."""
        brought = clinic.clinic.contributions
        printers = [name for name, (whose, _) in brought.printers().items() if whose == self.name]
        voices = [name for name, (whose, _) in brought.announcers().items() if whose == self.name]
        for language in ("id", "en") if printers or voices else ():
            clinic.set("display.language", language)
            slip = clinic.issue_emergency()
            for name in printers:
                clinic.print_slip(slip, name, language=language)
            with suppress(TicketObjected):
                clinic.issue()
            called = clinic.call_next()
            if called is not None:
                for name in voices:
                    clinic.speak(called, name)
                clinic.complete(clinic.serve(called))


def _look(opened: ClinicUnderTest, plugin: str, check: HealthCheck) -> Any:
    look = partial(check.check, opened.context(plugin))
    return opened.clinic.hooks.run(plugin, check.name, look, CHECK_S)


def _module_name(plugin: object) -> str:
    return plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__


def _faults(clinic: ClinicUnderTest) -> list[FaultRow]:
    """Return the faults that are the plugin's and not the machine's."""
    return [row for row in clinic.faults() if BUSY not in row.detail or row.is_switched_off]


def _assert_no_faults(clinic: ClinicUnderTest) -> None:
    found = [f"{row.hook} {row.kind}: {row.detail}" for row in _faults(clinic)]
    assert not found, "; ".join(found)
