"""
The contract of the example plugins on PostgreSQL.

On SQLite their own tests hold it, in a clean environment (`tests/packaging/test_example.py`).
"""

from types import MappingProxyType

import pytest

from puskesmas_queue.storage.plugin_data import PluginDatabase
from puskesmas_queue.testing import PluginContract
from puskesmas_queue_day_journal import plugin as day_journal
from puskesmas_queue_family_units import plugin as family_units

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


class TestFamilyUnits(OnPostgresql):
    name = "family_units"
    plugin = family_units
    online = MappingProxyType({"address": "https://webhook.example.org/calls"})
