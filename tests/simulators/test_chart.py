"""The picture of a morning."""

import xml.etree.ElementTree as ET

import pytest

from puskesmas_queue.domain.tickets import Lane
from puskesmas_queue.simulators.chart import HEIGHT, WIDTH, describe, draw
from puskesmas_queue.simulators.morning import plan_morning
from puskesmas_queue.simulators.play import Play
from puskesmas_queue.simulators.report import as_text, make_report
from support.model_hall import DAY, ModelHall

SVG = "{http://www.w3.org/2000/svg}"


def played(patients):
    hall = ModelHall()
    Play(plan_morning(4, patients, (1, 2), ("umum",)), hall).run()
    return make_report(DAY, hall.rows(), hall.events)


@pytest.mark.parametrize("patients", [0, 1, 90, 400])
def test_every_wait_is_a_mark_inside_the_picture(patients):
    report = played(patients)

    root = ET.fromstring(draw(report, "Morning <1> & more"))

    rings = list(root.iter(f"{SVG}circle"))
    general = report.lanes[Lane.GENERAL].waits.count
    assert len(rings) == general + 1  # and the legend's
    for ring in rings:
        assert 0 <= float(ring.get("cx")) <= WIDTH
        assert 0 <= float(ring.get("cy")) <= HEIGHT
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title desc"
    assert root.find(f"{SVG}title").text == "Morning <1> & more"
    assert root.find(f"{SVG}desc").text == describe(report)
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert {"Waiting in the line", "Minutes from the number to the first call"} <= set(texts)
    assert any(text.startswith("Priority: mean") for text in texts)


def test_lanes_are_told_apart_without_colour():
    root = ET.fromstring(draw(played(90), "Morning"))

    lines = [one for one in root.iter(f"{SVG}path") if one.get("stroke-width") == "2.5"]
    assert {one.get("stroke-dasharray") for one in lines} == {None, "7 4"}


def test_the_picture_says_in_words_what_it_shows():
    report = played(90)
    priority = report.lanes[Lane.PRIORITY]

    assert f"priority: {priority.waits.count} called" in describe(report)
    assert f"longest queue {priority.longest_queue}" in describe(report)
    assert f"{priority.longest_queue:>15}" in as_text(report)
