"""
Metrics for Prometheus: of one app, in a registry of its own.

A request costs one observation; everything else is read when somebody asks for it. Labels are
names of routes, units, lanes and plugins: no person, number or code.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from puskesmas_queue import __version__
from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import QueueError
from puskesmas_queue.services.measures import Measures, database_load, measure
from puskesmas_queue.web.limits import Limits

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
PREFIX = "puskesmas_"
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WAITING = frozenset({"waiting", "confirmed"})

Live = Callable[[], tuple[dict[str, int], int]]
"""Tells how many streams show each kind of topic, and how often topics were rendered."""


class RequestMetrics:
    """
    Counts requests.

    Args:
        registry: Where they are collected.
        worker: Which process this is, where several answer on one port; else empty.
    """

    def __init__(self, registry: CollectorRegistry, worker: str = "") -> None:
        self._more = (worker,) if worker else ()
        self._known: dict[tuple[str, int], Any] = {}
        self._requests = Histogram(
            f"{PREFIX}request_seconds",
            "Time of requests until their answer was sent, of streams until it began",
            ("route", "status", *(("worker",) if worker else ())),
            buckets=BUCKETS_S,
            registry=registry,
        )

    def saw(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        one = self._known.get((route, status))
        if one is None:
            one = self._requests.labels(route, str(status), *self._more)
            self._known[route, status] = one
        one.observe(seconds)


class Metrics:
    """
    All metrics of one app.

    Args:
        clinic: Whose counts.
        limits: Of the app.
        live: See `Live`.
        worker: As for `RequestMetrics`.
    """

    def __init__(self, clinic: Clinic, limits: Limits, live: Live, worker: str = "") -> None:
        self.registry = CollectorRegistry()
        self.requests = RequestMetrics(self.registry, worker)
        self._clinic = _ClinicCollector(clinic, limits, live, worker)
        self.registry.register(self._clinic)
        ProcessCollector(registry=self.registry)

    def text(self, connections: Any) -> bytes:
        """
        Write them as Prometheus reads them.

        Args:
            connections: Those of the server, None where it has none of ours.
        """
        self._clinic.connections = connections
        return generate_latest(self.registry)


class _ClinicCollector(Collector):
    """Reads what is known elsewhere, when it is asked for."""

    def __init__(self, clinic: Clinic, limits: Limits, live: Live, worker: str) -> None:
        self.connections: Any = None
        self._clinic = clinic
        self._limits = limits
        self._live = live
        self._worker = worker

    def describe(self) -> Iterable[Metric]:
        """Name none: to name them all is to read them all."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read all; a database that is away leaves its part out."""
        yield from self._process()
        try:
            measured = measure(self._clinic)
        except QueueError:
            yield _gauge("database_up", "Whether the database could be asked", {(): 0})
            return
        yield _gauge("database_up", "Whether the database could be asked", {(): 1})
        yield from _of_database(measured)

    def _process(self) -> Iterator[Metric]:
        versions = (__version__, platform.python_version(), self._clinic.db.dialect)
        yield _gauge("build_info", "What runs", {versions: 1}, ("version", "python", "database"))
        fault = self._clinic.guard.fault()
        yield _gauge("clock_fault", "Whether the clock is in doubt", {(): fault is not None})
        streams, renders = self._live()
        yield self._own_gauge("live_streams", "Open streams by topic", streams, "topic")
        yield self._own_counter("renders", "How often a live topic was rendered", {"": renders})
        yield self._own_counter("refused", "Refusals by limit", self._limits.refused(), "limit")
        if self.connections is not None:
            open_now = {"": len(self.connections)}
            yield self._own_gauge("connections", "Open connections", open_now)
            ended = self.connections.refused
            yield self._own_counter("connections_ended", "Ended for a reason", ended, "reason")
        load = database_load(self._clinic)
        yield self._own_gauge("database_queue", "Changes that wait", {"": load.queue})
        yield self._own_gauge("database_pool_used", "Connections in use", {"": load.used})
        yield self._own_gauge("database_pool_size", "Connections kept", {"": load.size})
        yield self._own_counter("database_commits", "Commits", {"": load.commits})
        yield self._own_counter("database_changes", "Changes in them", {"": load.changes})

    def _own_gauge(
        self, name: str, text: str, values: dict[str, Any], label: str = ""
    ) -> GaugeMetricFamily:
        keyed, labels = self._with_worker(values, label)
        return _gauge(name, text, keyed, labels)

    def _own_counter(
        self, name: str, text: str, values: dict[str, Any], label: str = ""
    ) -> CounterMetricFamily:
        keyed, labels = self._with_worker(values, label)
        found = CounterMetricFamily(f"{PREFIX}{name}", text, labels=labels)
        for key, value in keyed.items():
            found.add_metric(key, value)
        return found

    def _with_worker(
        self, values: dict[str, Any], label: str
    ) -> tuple[dict[tuple[str, ...], Any], tuple[str, ...]]:
        own = (self._worker,) if self._worker else ()
        keyed = {((key,) if label else ()) + own: value for key, value in values.items()}
        return keyed, ((label,) if label else ()) + (("worker",) if own else ())


def _gauge(
    name: str, text: str, values: Mapping[Any, Any], labels: tuple[str, ...] = ()
) -> GaugeMetricFamily:
    found = GaugeMetricFamily(f"{PREFIX}{name}", text, labels=labels)
    for key, value in values.items():
        found.add_metric(key, float(value))
    return found


def _of_database(measured: Measures) -> Iterator[Metric]:
    issued: dict[tuple[str, ...], int] = {}
    calls: dict[tuple[str, ...], int] = {}
    waiting: dict[tuple[str, ...], int] = {}
    for one in measured.tickets:
        issued[one.unit, one.lane, one.source] = (
            issued.get((one.unit, one.lane, one.source), 0) + one.tickets
        )
        calls[one.unit, one.lane] = calls.get((one.unit, one.lane), 0) + one.calls
        is_waiting = one.tickets if one.state in WAITING else 0
        waiting[one.unit, one.lane] = waiting.get((one.unit, one.lane), 0) + is_waiting
    lane = ("unit", "lane")
    yield _gauge("tickets_today", "Tickets of today", issued, (*lane, "source"))
    yield _gauge("calls_today", "Calls of tickets of today", calls, lane)
    yield _gauge("waiting", "Tickets that wait", waiting, lane)
    counters = {(state,): number for state, number in measured.counters.items()}
    yield _gauge("counters", "Counters by state", counters, ("state",))
    yield _gauge(
        "deliveries",
        "Facts not told",
        dict(measured.deliveries),
        ("plugin", "state"),
    )
    faults = {(one.plugin, one.hook, one.kind): one.count for one in measured.faults}
    yield _gauge("hook_faults", "Faults of hooks", faults, ("plugin", "hook", "kind"))
