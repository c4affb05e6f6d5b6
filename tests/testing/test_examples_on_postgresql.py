"""
The contract of plugins with tables on PostgreSQL.

On SQLite their own tests hold it, those of the examples in a clean environment
(`tests/packaging/test_example.py`).
"""

from types import MappingProxyType

import pytest

from puskesmas_queue.storage.plugin_data import PluginDatabase
from puskesmas_queue.testing import PluginContract
from puskesmas_queue_day_journal import plugin as day_journal
from puskesmas_queue_escpos_printer import plugin as escpos_printer
from puskesmas_queue_family_units import plugin as family_units
from puskesmas_queue_tts import plugin as tts
from puskesmas_queue_tts import pronunciation, zones
from puskesmas_queue_tts.zones import ZoneVoice

pytestmark = pytest.mark.postgres


class OnPostgresql(PluginContract):
    """Each test has a database of its own."""

    @pytest.fixture(autouse=True)
    def _with_database(self, postgres_url):
        self.url = postgres_url

    def database_url(self, folder):
        return self.url

    def test_its_tables_are_there(self, tmp_path):
        with self.opened(tmp_path) as clinic:
            data = clinic.clinic.plugin_data[self.name]
            assert isinstance(data, PluginDatabase)
            assert data.read(lambda connection: connection.dialect.name) == "postgresql"
        assert list(tmp_path.glob("*.db")) == []


class TestDayJournal(OnPostgresql):
    name = "day_journal"
    plugin = day_journal
    settings = MappingProxyType({"most_waiting": "40"})


class TestEscposPrinter(OnPostgresql):
    name = "escpos_printer"
    plugin = escpos_printer


class TestFamilyUnits(OnPostgresql):
    name = "family_units"
    plugin = family_units
    online = MappingProxyType({"address": "https://webhook.example.org/calls"})


class TestTts(OnPostgresql):
    name = "tts"
    plugin = tts

    def test_words_and_halls_are_kept(self, tmp_path):
        """Stored, changed and taken back; a hall's last sound comes back with its zone."""
        with self.opened(tmp_path) as clinic:
            ctx = clinic.context(self.name)
            for spoken in ("gawat darurat", "u ge de"):
                assert pronunciation.say(ctx, "id", "", "UGD", spoken) is None
            assert pronunciation.load(ctx).own == {("id", "", "UGD"): "u ge de"}
            pronunciation.forget(ctx, "id", "", "UGD")
            assert pronunciation.load(ctx).own == {}
            zones.note_heard(ctx, "main")
            zones.note_there(ctx, "main")
            assert zones.save(ctx, ZoneVoice("main", 90, "soft", 3))
            assert zones.load(ctx) == [ZoneVoice("main", 90, "soft", 3, ctx.now)]
