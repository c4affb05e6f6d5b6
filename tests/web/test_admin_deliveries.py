"""The administrator's page of what plugins did not hear, as a browser sees it."""

import re
from datetime import timedelta

import pytest

from puskesmas_queue.domain.access import Role
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.services.letters import dead_letters
from puskesmas_queue.services.plugin_overview import PAGE
from puskesmas_queue.storage import tables
from support.clinics import make_clinic, make_config
from support.desk import rows_of, take
from support.office import leave, open_browser

PATH = "/admin/deliveries"


class Webhook:
    @hookimpl
    def ticket_completed(self, ticket):
        raise ConnectionError("no route to host")

    @hookimpl
    def ticket_called(self, ticket):
        raise ConnectionError("no route to host")


@pytest.fixture
def clinic(sqlite_url, tmp_path, clock):
    """A clinic with one plugin and one ticket."""
    config = make_config(sqlite_url, tmp_path)
    clinic = make_clinic(config, clock, plugins=[("webhook", Webhook())])
    take(clinic, "A")
    yield clinic
    clinic.close()


@pytest.fixture
def lose(clinic):
    """Lets deliveries of a plugin fail: `state` and `kind` of each."""
    ticket = rows_of(clinic, tables.tickets)[0].id

    def lose(plugin="webhook", count=1, kind="ticket_completed", state="dead", age=0):
        return leave(clinic, ticket, [(plugin, kind, state)] * count, timedelta(seconds=age))

    return lose


@pytest.fixture
def office(clinic):
    return open_browser(clinic, Role.ADMIN)


def rows(text: str, words: str) -> list[str]:
    """Return the rows of the page's tables with these words."""
    return [row.partition("</tr>")[0] for row in text.split("<tr>")[1:] if words in row]


def states(clinic) -> dict[int, str]:
    return {row.id: row.state for row in rows_of(clinic, tables.deliveries)}


def audited(clinic, action: str):
    return [row for row in rows_of(clinic, tables.audit) if row.action == action]


def test_nothing_failed(office):
    assert "Tidak ada kiriman gagal" in office.get(PATH).text


def test_dead_letters_are_listed_and_tried_again(office, clinic, lose):
    (dead,) = lose()
    (expired,) = lose(state="expired")
    text = office.get(PATH).text

    listed = rows(text, f"{PATH}/{dead}/redeliver")
    number = rows_of(clinic, tables.tickets)[0].number
    assert [word in listed[0] for word in ("webhook", number, ">9<", "Gagal")] == [True] * 4
    assert "Kedaluwarsa" in rows(text, f"{PATH}/{expired}/redeliver")[0]
    assert "&lt;b&gt;no route&lt;/b&gt;" in text
    assert "Kiriman itu dicoba lagi sekarang." in office.post(f"{PATH}/{dead}/redeliver").text
    assert states(clinic) == {dead: "open", expired: "expired"}
    for unknown in (dead, 999999999999, "9" * 30):
        assert "sudah tidak ada" in office.post(f"{PATH}/{unknown}/redeliver").text


def test_what_nobody_hears_cannot_be_sent_again(office, clinic, lose):
    """A plugin that is gone, a fact that it hears no more, a call that is over: no button."""
    ids = [*lose("lama"), *lose(kind="ticket_held"), *lose(kind="ticket_called", age=91)]
    (fresh,) = lose(kind="ticket_called", age=10)
    text = office.get(PATH).text

    assert re.findall(rf"{PATH}/(\d+)/redeliver", text) == [str(fresh)]
    for one in ids:
        answer = office.post(f"{PATH}/{one}/redeliver")
        assert "Tidak ada yang dikirim ulang" in answer.text
        assert states(clinic)[one] == "dead"
    assert f"{PATH}/of/lama/redeliver" not in text
    assert "Tidak dipakai" in rows(text, f"{PATH}/of/lama/dismiss")[0]
    assert "Tidak ada yang dikirim ulang" in office.post(f"{PATH}/of/lama/redeliver").text
    assert audited(clinic, "redeliver") == audited(clinic, "redeliver_all") == []


def test_what_waits_for_a_plugin_that_is_gone_is_counted(office, lose):
    """It is on no other page, and there is nothing to do about it but to wait."""
    lose("lama", count=3, state="open")
    lose("webhook", count=2, state="open")
    text = office.get(PATH).text

    assert ">3<" in rows(text, "lama")[0]
    assert "/of/lama/" not in text
    assert rows(text, "webhook") == []


def test_all_of_a_plugin_are_sent_again(office, clinic, lose):
    ours, others = lose(count=3), lose("lama", count=2)
    (old_call,) = lose(kind="ticket_called", age=91)

    answer = office.post(f"{PATH}/of/webhook/redeliver")

    assert "Kiriman plugin itu dicoba lagi sekarang." in answer.text
    assert {one for one, state in states(clinic).items() if state == "open"} == set(ours)
    assert [row.new_values for row in audited(clinic, "redeliver_all")] == [
        {"plugin": "webhook", "count": 3}
    ]
    assert "Tidak ada yang dikirim ulang" in office.post(f"{PATH}/of/webhook/redeliver").text
    assert [states(clinic)[one] for one in (*others, old_call)] == ["dead"] * 3


def test_one_is_dismissed_after_a_question(office, clinic, lose):
    first, second = lose(count=2)
    question = office.get(f"{PATH}/{first}/dismiss").text

    assert "Hapus kiriman ini?" in question
    assert f'action="{PATH}/{first}/dismiss"' in question
    assert states(clinic) == {first: "dead", second: "dead"}
    assert "sudah dihapus dari daftar" in office.post(f"{PATH}/{first}/dismiss").text
    assert states(clinic) == {second: "dead"}
    (row,) = audited(clinic, "dismiss")
    assert (row.record_id, row.old_values["plugin"]) == (str(first), "webhook")
    assert row.old_values["kind"] == "ticket_completed"
    for method in (office.get, office.post):
        assert "sudah tidak ada" in method(f"{PATH}/{first}/dismiss").text


def test_what_is_delivered_or_tried_is_not_dismissed(office, clinic, lose):
    ids = [*lose(state="done"), *lose(state="open")]

    for one in ids:
        office.post(f"{PATH}/{one}/dismiss")
    office.post(f"{PATH}/of/webhook/dismiss", data={"until": "999999"})

    assert states(clinic) == dict(zip(ids, ("done", "open"), strict=True))


def test_all_of_a_plugin_are_dismissed_as_they_were_asked_for(office, clinic, lose):
    """One that failed after the question stays: nobody has seen it."""
    lose("lama", count=3)
    (other,) = lose()
    question = office.get(f"{PATH}/of/lama/dismiss").text
    until = re.search(r'name="until" value="(\d+)"', question)[1]
    (later,) = lose("lama")

    answer = office.post(f"{PATH}/of/lama/dismiss", data={"until": until})

    assert "3 gagal" in question
    assert "Kiriman plugin itu sudah dihapus" in answer.text
    assert states(clinic) == {other: "dead", later: "dead"}
    assert [row.old_values for row in audited(clinic, "dismiss_all")] == [
        {"plugin": "lama", "count": 3}
    ]
    assert "sudah tidak ada" in office.get(f"{PATH}/of/nobody/dismiss").text
    for odd in ("", "x", "-1", "9" * 40):
        sent = office.post(f"{PATH}/of/lama/dismiss", data={"until": odd})
        assert "sudah tidak ada" in sent.text
    assert states(clinic) == {other: "dead", later: "dead"}


def test_a_long_list_has_pages(office, clinic, lose):
    """Latest first, each once, also where something fails or is dismissed meanwhile."""
    ids = lose(count=2 * PAGE + 1)
    seen, link, pages = [], PATH, 0
    while link:
        text = office.get(link).text
        seen += [int(one) for one in re.findall(rf"{PATH}/(\d+)/dismiss", text)]
        older = re.search(rf'href="({PATH}\?before=\d+)"', text)
        assert (f'href="{PATH}">' in text.partition("<table")[2]) == bool(pages)
        link, pages = older and older[1], pages + 1
        lose()
        office.post(f"{PATH}/{seen[-1]}/dismiss")

    assert (seen, pages) == (ids[::-1], 3)
    assert "Tidak ada yang lebih lama." in office.get(f"{PATH}?before=1").text
    for odd in ("x", "-1", "9" * 40):
        assert office.get(f"{PATH}?before={odd}").status_code == 200
    assert len(dead_letters(clinic)) == 2 * PAGE + 1


def test_the_pages_speak_english(office, lose):
    (one,) = lose()

    assert "Send all again" in office.get(f"{PATH}?lang=en").text
    assert "Delete this delivery?" in office.get(f"{PATH}/{one}/dismiss?lang=en").text
    assert "1 failed" in office.get(f"{PATH}/of/webhook/dismiss?lang=en").text
