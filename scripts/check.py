"""
The one test command: every check of the project, none stops the next.

Ends with a line like `812 passed, 0 failed`, which counts the tests and the checks before them;
exit 1 if anything failed. What this machine cannot run is named in lines that begin with
`NOT RUN:`; with CI=true in the environment that is a failure.
"""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 3
"""One more than the smallest machine has processors: half of the time a test waits."""

LINTS: dict[str, list[str]] = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy"],
    "import rules": ["-c", "from importlinter.cli import lint_imports_command as c; c()"],
    "templates": ["scripts/lint_templates.py"],
}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests went which way; `not_run` are the reasons of those that did not."""

    passed: int
    failed: int
    not_run: tuple[str, ...] = ()


def run(arguments: list[str]) -> int:
    """Run Python with these arguments in the project's folder and return its exit code."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False).returncode


def lint() -> Counts:
    """Run everything that reads the code without running it."""
    failed = 0
    for name, arguments in LINTS.items():
        started = monotonic()
        code = run(arguments)
        failed += code != 0
        verdict = "ok" if code == 0 else f"FAILED ({code})"
        print(f"-- {name}: {verdict}, {monotonic() - started:.0f} s", flush=True)
    return Counts(len(LINTS) - failed, failed)


def test(arguments: list[str]) -> Counts:
    """Run the tests, several at a time, one file always in one process."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        parallel = ["-n", str(WORKERS), "--dist", "loadfile"]
        code = run(["-m", "pytest", "-q", *parallel, f"--junitxml={report}", *arguments])
        if not report.exists():
            print(f"-- pytest did not run ({code})")
            return Counts(0, 1)
        counts = read_report(report)
    return counts if code in (0, 1) else Counts(counts.passed, max(counts.failed, 1))


def read_report(report: Path) -> Counts:
    """Count the tests of a JUnit file; it is our own, so it is parsed as it is."""
    passed, failed, reasons = 0, 0, set()
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skipped is None:
            passed += 1
        else:
            reasons.add(skipped.get("message", ""))
    return Counts(passed, failed, tuple(sorted(reasons)))


def main(arguments: list[str]) -> int:
    """Run what was asked for; `--lint` leaves the tests out, the rest goes to pytest."""
    linted = lint()
    only_lint = "--lint" in arguments
    tested = Counts(0, 0) if only_lint else test([word for word in arguments if word != "--lint"])
    print()
    for reason in tested.not_run:
        print(reason if reason.startswith("NOT RUN") else f"skipped: {reason}")
    passed, failed = linted.passed + tested.passed, linted.failed + tested.failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
