"""Requests from many clients, each as soon as its last one was answered: what benchmarks ask of."""

from puskesmas_queue.simulators import load
from puskesmas_queue.simulators.load import Answer, Run
from puskesmas_queue.simulators.summary import percentile

__all__ = ["Answer", "Run", "percentile", "run"]


def run(url: str, clients: int, requests: int, make: load.Make) -> Run:
    """
    Send so many requests from so many clients at once.

    Raises:
        ConnectionError: A connection broke before its answer came.
    """
    done = load.run(url, clients, make, requests=requests)
    if done.lost:
        raise ConnectionError(f"{done.lost} requests were not answered")
    return done
