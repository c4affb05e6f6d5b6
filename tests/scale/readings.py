"""What a process and a page take, read from the system and from the browser."""

from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page


@dataclass(frozen=True)
class ProcessReading:
    """
    Memory of its own, open files, sockets among them, and threads.

    What it shares with others, libraries above all, is left out: its share of that grows when
    one of them ends.
    """

    memory_kb: int
    files: int
    sockets: int
    threads: int


@dataclass(frozen=True)
class PageReading:
    """What is left on a page's heap after a full collection, and what hangs on it."""

    heap_bytes: float
    nodes: float
    listeners: float
    documents: float


def process_reading(pid: int) -> ProcessReading:
    """Read what a process of this machine takes."""
    folder = Path("/proc", str(pid))
    rollup = (folder / "smaps_rollup").read_text()
    memory_kb = next(
        int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Anonymous:")
    )
    links = []
    for entry in (folder / "fd").iterdir():
        try:
            links.append(str(entry.readlink()))
        except FileNotFoundError:
            continue  # closed while we looked
    sockets = sum(link.startswith("socket:") for link in links)
    return ProcessReading(memory_kb, len(links), sockets, len(list((folder / "task").iterdir())))


def page_reading(page: Page) -> PageReading:
    """Collect a page's garbage and read what is left."""
    session = page.context.new_cdp_session(page)
    try:
        session.send("Performance.enable")
        session.send("HeapProfiler.enable")
        for _ in range(2):
            session.send("HeapProfiler.collectGarbage")
        metrics = {
            one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]
        }
    finally:
        session.detach()
    return PageReading(
        metrics["JSHeapUsedSize"],
        metrics["Nodes"],
        metrics["JSEventListeners"],
        metrics["Documents"],
    )
