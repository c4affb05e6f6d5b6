"""Many figures in few: how many, mean, median, percentiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, quantiles


@dataclass(frozen=True, slots=True)
class Summary:
    """What many values come to, in their own unit; all 0 where there are none."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        """Sum up some values."""
        if not values:
            return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        p50, p90, p99 = (percentile(values, part) for part in (50, 90, 99))
        return cls(len(values), mean(values), p50, p90, p99, max(values))


def percentile(values: Sequence[float], part: int) -> float:
    """Return a percentile of some values, at least one; part 1 to 99."""
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[part - 1]
