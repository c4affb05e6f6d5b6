"""What every plugin keeps to, as tests that its own tests inherit."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import EVERYBODY, OF_DEVICES, Permission, Principal, Role, may
from puskesmas_queue.domain.announcements import Call
from puskesmas_queue.domain.days import service_date
from puskesmas_queue.domain.errors import TicketObjected
from puskesmas_queue.domain.line import Head, LineHeads, RatioState
from puskesmas_queue.domain.tickets import Lane, Ticket, TicketRequest
from puskesmas_queue.extensions import SLOTS, Health
from puskesmas_queue.hookspecs import (
    DecisionHooks,
    FactHooks,
    LifeHooks,
    RegistrationHooks,
    VetoHooks,
)
from puskesmas_queue.plugin_host.asking import ask_plugin
from puskesmas_queue.plugin_host.dispatch import Outcome
from puskesmas_queue.plugin_host.loading import GROUP, name_problem
from puskesmas_queue.plugin_host.registry import load_plugins
from puskesmas_queue.services import facts
from puskesmas_queue.storage import migrate
from puskesmas_queue.storage.outbox import Delivery
from puskesmas_queue.storage.plugin_data import PluginDatabase
from puskesmas_queue.testing.clinic import ClinicUnderTest, MovedClock

__all__ = ["PluginContract", "play_morning"]
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
LOGIN = ("/login", "/unlock")


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

    @contextmanager
    def opened(
        self, folder: Path, *, is_configured: bool = True, clock: MovedClock | None = None
    ) -> Iterator[ClinicUnderTest]:
        """Open a clinic with the plugin."""
        settings = {self.name: self.settings} if is_configured and self.settings else None
        with ClinicUnderTest(
            folder, [(self.name, self.plugin)], settings=settings, clock=clock
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

    def test_decisions_are_quick_and_sound(self, tmp_path: Path) -> None:
        """Each decision and veto answers in 100 ms ten times, with what can be used."""
        with self.opened(tmp_path) as clinic:
            for ask in _decisions(clinic):
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
            _assert_no_faults(opened)
            paths = {route.path for route in routes if "GET" in route.methods}
            for item in nav:
                assert item.path in paths, f"the link {item.path} leads to no page"
            for check in checks:
                look = partial(check.check, context)
                found = clinic.hooks.run(self.name, check.name, look, CHECK_S)
                assert isinstance(found, Health), f"check {check.name} answered {found!r}"
            for simulator in simulators:
                folder = tmp_path / simulator.name
                folder.mkdir()
                running = simulator.start(folder, 0)
                try:
                    assert running.url, f"simulator {simulator.name} has no address"
                finally:
                    running.stop()

    def test_pages_answer_and_refuse(self, tmp_path: Path) -> None:
        """Each page answers those who may see it, and nobody else."""
        with self.opened(tmp_path) as clinic:
            for path, permission in _pages(clinic, self.name):
                answer = clinic.get(path, _one_who(permission, is_allowed=True))
                assert answer.status_code < 400, f"{path} answered {answer.status_code}"
                if permission in EVERYBODY | OF_DEVICES:
                    continue
                assert _is_refused(clinic.get(path)), f"{path} answers without a login"
                other = _one_who(permission, is_allowed=False)
                if other is not None:
                    assert _is_refused(clinic.get(path, other)), f"{path} answers {other}"
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
        with ClinicUnderTest(tmp_path, clock=clock) as clinic:
            ticket = clinic.issue()
            called = clinic.call_next()
            assert called is not None, f"{ticket.number} is not called"
            differences = migrate.check(clinic.config.database.url)
            assert not differences, "; ".join(differences)


def play_morning(clinic: ClinicUnderTest, deliver: Callable[[], Any] | None = None) -> None:
    """Play a small morning, every fact of which is delivered while it is worth hearing."""
    deliver = deliver or clinic.deliver

    def issue(unit: str, lane: Lane = Lane.GENERAL) -> Ticket | None:
        # To object is a plugin's right.
        with suppress(TicketObjected):
            return clinic.issue(unit, lane)
        return None

    def call() -> Ticket | None:
        found = clinic.call_next()
        deliver()
        return found

    for unit in ("umum", "gigi", "kia"):
        issue(unit)
    issue("umum", Lane.PRIORITY)
    clinic.issue_emergency()
    deliver()
    if ticket := call():
        clinic.recall(ticket)
        deliver()
        clinic.complete(clinic.serve(ticket))
    if ticket := call():
        held = clinic.hold(clinic.serve(ticket))
        deliver()
        clinic.complete(clinic.serve(held))
    if ticket := call():
        clinic.skip(ticket)
        deliver()
    if late := issue("umum"):
        clinic.cancel(late)
    deliver()
    clinic.end_day()
    deliver()


def _decisions(opened: ClinicUnderTest) -> Iterator[Callable[[int], object]]:
    clinic, now = opened.clinic, opened.clock.now()
    hooks, at = clinic.hooks, int(now.timestamp() * 1_000_000)
    day, ratio = service_date(now, clinic.timezone), clinic.settings.get("queue.priority_ratio")
    yield lambda turn: hooks.format_ticket_number("A", turn, day, now)
    yield lambda turn: hooks.choose_lane(
        LineHeads(Head(at - turn, 0), Head(at, 0), ratio, RatioState()), now
    )
    yield lambda turn: hooks.choose_lane(LineHeads(None, Head(at, 0), ratio, RatioState()), now)
    yield lambda turn: hooks.estimate_wait(turn, (60.0, 300.0), 1, now)
    yield lambda turn: hooks.format_announcement(Call(f"A-{turn:03d}", "A", turn, 1, "id"), now)
    yield lambda turn: hooks.objections(TicketRequest("umum", Lane.GENERAL), now)


def _pages(opened: ClinicUnderTest, plugin: str) -> Iterator[tuple[str, Permission]]:
    brought = opened.clinic.contributions
    for route in brought.routes(plugin):
        if "GET" in route.methods and "{" not in route.path:
            yield f"/x/{plugin}{route.path}", route.permission
    for panel in brought.panels(plugin):
        if panel.slot != "counter.ticket":
            yield f"/x/{plugin}/panels/{panel.name}", SLOTS[panel.slot]


def _one_who(permission: Permission, *, is_allowed: bool) -> Role | None:
    """Return a role that may or may not; the administrator first."""
    for role in Role:
        principal = Principal(1, role.value, role.value, role, "")
        if may(principal, permission) is is_allowed:
            return role
    return None


def _is_refused(answer: Any) -> bool:
    asked_for = answer.headers.get("location", "").partition("?")[0]
    return answer.status_code in (401, 403) or (answer.is_redirect and asked_for in LOGIN)


def _module_name(plugin: object) -> str:
    return plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__


def _assert_no_faults(clinic: ClinicUnderTest) -> None:
    found = [f"{row.hook} {row.kind}: {row.detail}" for row in clinic.faults()]
    assert not found, "; ".join(found)
