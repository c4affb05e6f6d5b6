"""The one test command counts right, and says what did not run."""

import runpy

import pytest

from support.presence import not_run

REPORT = """<testsuites><testsuite>
<testcase name="a"/>
<testcase name="b"><failure message="no"/></testcase>
<testcase name="c"><error message="no"/></testcase>
<testcase name="d"><skipped message="NOT RUN: browser tests: install chromium"/></testcase>
<testcase name="e"><skipped message="NOT RUN: browser tests: install chromium"/></testcase>
</testsuite></testsuites>"""


def test_a_report_is_counted(request, tmp_path):
    check = runpy.run_path(str(request.config.rootpath / "scripts/check.py"))
    report = tmp_path / "report.xml"
    report.write_text(REPORT)

    counts = check["read_report"](report)

    assert (counts.passed, counts.failed) == (1, 2)
    assert counts.not_run == ("NOT RUN: browser tests: install chromium",)


def test_what_is_lacking_is_skipped(monkeypatch):
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="NOT RUN: browser tests: install chromium"):
        not_run("browser tests", "install chromium")


def test_what_is_lacking_fails_in_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="NOT RUN: browser tests: install chromium"):
        not_run("browser tests", "install chromium")
