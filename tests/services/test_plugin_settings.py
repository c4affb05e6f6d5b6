"""Settings of plugins: the form made of a model, what is stored, and what nobody sees again."""

import datetime as dt
import logging
import sys
import time
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field, HttpUrl, SecretStr, field_validator, model_validator
from sqlalchemy import insert, update

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.errors import (
    InvalidForm,
    NotFound,
    PluginSettingsInvalid,
    UnknownName,
)
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_host import forms
from puskesmas_queue.plugin_host.forms import BadModel, form_fields
from puskesmas_queue.services.plugin_settings import (
    MASK,
    field_states,
    plugin_config,
    read,
    save,
    settings_model,
)
from puskesmas_queue.storage import tables
from puskesmas_queue.storage.crypto import make_key_file
from support.clinics import make_config
from support.desk import STAFF
from support.desk import rows_of as raw_rows_of


def rows_of(clinic, table) -> list[dict]:
    """Return the rows of a table, by column."""
    return [dict(row._mapping) for row in raw_rows_of(clinic, table)]


class Voice(Enum):
    """A choice."""

    WOMAN = "perempuan"
    MAN = "laki-laki"


class Hook(BaseModel):
    """One field of each kind."""

    url: HttpUrl = Field(
        HttpUrl("https://example.id/hook"), title="Alamat tujuan", description="Ke mana dikirim."
    )
    tries: int = Field(5, ge=1, le=1_000, title="Percobaan")
    factor: float = Field(1.5, gt=0)
    is_on: bool = Field(True, title="Kirim panggilan")
    voice: Voice = Voice.WOMAN
    width: Literal[58, 80] = 58
    note: str = Field("", max_length=20)
    limit: int | None = None
    price: Decimal = Decimal("0.5")
    token: SecretStr | None = Field(None, title="Token")


class Strict(BaseModel):
    """Nothing works before this is filled in."""

    device: str = Field(min_length=3, pattern=r"^[a-z]+$")
    password: SecretStr = Field(min_length=8)

    @field_validator("device")
    @classmethod
    def no_root(cls, value: str) -> str:
        if value == "root":
            raise ValueError("root tidak boleh")
        return value

    @model_validator(mode="after")
    def differ(self) -> "Strict":
        if self.password.get_secret_value() == self.device + self.device:
            raise ValueError(f"{self.password.get_secret_value()} terlalu mudah")
        return self


def plugin(model):
    """A plugin whose settings are of this model."""

    class Plugin:
        @hookimpl
        def register_settings(self, ctx):
            assert ctx.clinic_name
            return model() if callable(model) and not isinstance(model, type) else model

    return Plugin()


@pytest.fixture
def key_path(tmp_path):
    """The clinic's key file."""
    path = tmp_path / "secret.key"
    make_key_file(path)
    return path


@pytest.fixture
def opened(sqlite_url, tmp_path, clock):
    """Opens a clinic with plugins whose settings are of these models."""
    clinics = []

    def opened(url=sqlite_url, **models):
        plugins = [(name, plugin(model)) for name, model in models.items()]
        clinics.append(open_clinic(make_config(url, tmp_path), clock, plugins))
        return clinics[-1]

    yield opened
    for clinic in clinics:
        clinic.close()


@pytest.fixture
def hook(database_url, opened, key_path):
    """A clinic with the plugins `hook` and `strict`, on each kind of database."""
    return opened(database_url, hook=Hook, strict=Strict)


def form(**changes: str) -> dict[str, str]:
    """What a browser sends for `Hook` as it stands by default."""
    return {
        "url": "https://example.id/hook", "tries": "5", "factor": "1,5", "is_on": "on",
        "voice": "perempuan", "width": "58", "note": "", "limit": "", "price": "0,5", "token": "",
        **changes,
    }  # fmt: skip


def problems(clinic, plugin_name, /, **sent: str) -> dict[str, str]:
    """Return what is wrong with a form, by field."""
    with pytest.raises(InvalidForm) as caught:
        save(clinic, plugin_name, sent, STAFF)
    return {one.key: one.kind for one in caught.value.problems}


# The form


def test_hook_register_settings():
    fields = {field.key: field for field in form_fields(Hook)}

    assert {key: field.kind for key, field in fields.items()} == {
        "url": "text", "tries": "number", "factor": "number", "is_on": "switch",
        "voice": "choice", "width": "choice", "note": "text", "limit": "number",
        "price": "number", "token": "secret",
    }  # fmt: skip
    url, tries, limit = fields["url"], fields["tries"], fields["limit"]
    assert (url.label, url.help, url.default) == (
        "Alamat tujuan", "Ke mana dikirim.", "https://example.id/hook",
    )  # fmt: skip
    assert (tries.is_whole, tries.low, tries.high, tries.default) == (True, 1, 1_000, 5)
    assert (limit.is_optional, limit.is_required, limit.label) == (True, False, "Limit")
    assert [choice.text for choice in fields["voice"].choices] == ["perempuan", "laki-laki"]
    assert [choice.value for choice in fields["width"].choices] == [58, 80]
    assert fields["token"].default is None
    assert [field.is_required for field in form_fields(Strict)] == [True, True]


class Many(BaseModel):
    names: list[str] = []


class Inner(BaseModel):
    inner: Hook = Hook()


class Alias(BaseModel):
    name: str = Field("", alias="nama")


class Capital(BaseModel):
    Name: str = ""


class MaybeSwitch(BaseModel):
    is_on: bool | None = None


class Mixed(BaseModel):
    either: int | str = 1


class Unwritable(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    thing: SimpleNamespace = SimpleNamespace()


@pytest.mark.parametrize(
    "model", [Many, Inner, Alias, Capital, MaybeSwitch, Mixed, Unwritable, dict, None, Hook()]
)
def test_what_no_form_can_ask_for_is_refused_in_one_line(model):
    with pytest.raises(BadModel) as caught:
        forms.make_form(model)
    assert "\n" not in str(caught.value)


def test_any_type_that_is_a_text_is_a_text_field(opened):
    class Opening(BaseModel):
        at: dt.time = dt.time(7)
        name: Annotated[str, Field(max_length=3)] | None = None

    clinic = opened(gate=Opening)
    save(clinic, "gate", {"at": "07:30", "name": ""}, STAFF)

    assert read(clinic, "gate") == Opening(at=dt.time(7, 30))
    assert problems(clinic, "gate", at="pagi", name="abcd") == {"at": "wrong", "name": "too_long"}


@pytest.mark.parametrize(
    ("typed", "value"),
    [("12", 12), (" 1.000 ", 1000), ("1 000", 1000), ("1,000", 1000), ("1.5", None), ("1,5", None),
     ("", None), ("x", None), ("1.00", None), ("٣", None), ("1e3", None)],
)  # fmt: skip
def test_whole_numbers_as_people_write_them(opened, typed, value):
    clinic = opened(hook=Hook)
    if value is None:
        expected = "required" if typed == "" else "whole_number"
        assert problems(clinic, "hook", **form(tries=typed)) == {"tries": expected}
    else:
        save(clinic, "hook", form(tries=typed), STAFF)
        assert read(clinic, "hook").tries == value


@pytest.mark.parametrize(
    ("typed", "value"),
    [("1,25", 1.25), ("1.25", 1.25), ("0.125", 0.125), ("1.500", 1500), ("1.500,5", 1500.5),
     ("2", 2), ("1,2,3", None), ("inf", None), ("nan", None)],
)  # fmt: skip
def test_decimals_as_people_write_them(opened, typed, value):
    clinic = opened(hook=Hook)
    if value is None:
        assert problems(clinic, "hook", **form(factor=typed)) == {"factor": "number"}
    else:
        save(clinic, "hook", form(factor=typed), STAFF)
        assert read(clinic, "hook").factor == value
        states = {state.field.key: state.text for state in field_states(clinic, "hook")}
        assert not save(clinic, "hook", form(factor=states["factor"]), STAFF)


# Reading and saving


def test_defaults_while_nothing_is_stored(hook):
    assert settings_model(hook, "hook") is Hook
    assert read(hook, "hook") == Hook()
    assert plugin_config(hook, "hook") == Hook()
    assert [state for state in field_states(hook, "hook") if state.is_stored] == []


def test_a_change_holds_at_once_and_after_a_restart(hook, opened):
    sent = form(
        url="https://klinik.id/x", tries="1.000", is_on="", voice="laki-laki", width="80",
        note=" halo ", limit="3", token="rahasia-1",
    )  # fmt: skip
    assert save(hook, "hook", sent, STAFF)

    expected = Hook(
        url="https://klinik.id/x", tries=1000, is_on=False, voice=Voice.MAN, width=80, note="halo",
        limit=3, token=SecretStr("rahasia-1"),
    )  # fmt: skip
    assert read(hook, "hook") == expected
    again = opened(hook.config.database.url, hook=Hook)
    assert plugin_config(again, "hook") == expected
    assert plugin_config(again, "hook") is plugin_config(again, "hook")


def test_only_what_changed_is_stored_and_audited(hook):
    before = hook.versions.get("settings", 0)
    assert save(hook, "hook", form(tries="6", token="rahasia-1"), STAFF)
    assert hook.versions["settings"] == before + 1
    assert not save(hook, "hook", form(tries="6"), STAFF)

    assert {row["key"] for row in rows_of(hook, tables.plugin_settings)} == {"tries", "token"}
    assert {row["updated_by"] for row in rows_of(hook, tables.plugin_settings)} == {STAFF.id}
    (entry,) = [
        row for row in rows_of(hook, tables.audit) if row["action"] == "change_plugin_settings"
    ]
    assert (entry["table_name"], entry["record_id"]) == ("plugin_settings", "hook")
    assert entry["old_values"] == {"tries": 5, "token": None}
    assert entry["new_values"] == {"tries": 6, "token": MASK}
    assert hook.versions["settings"] == before + 1


def test_fields_that_were_not_sent_stay(hook):
    save(hook, "hook", form(tries="6", note="a", token="rahasia-1"), STAFF)
    save(hook, "hook", {"note": "b", "is_on": "on"}, STAFF)

    settings = read(hook, "hook")
    assert (settings.tries, settings.note, settings.is_on) == (6, "b", True)
    assert settings.token == SecretStr("rahasia-1")


def test_every_wrong_field_is_named_and_nothing_stored(hook):
    sent = form(
        url="bukan alamat", tries="0", factor="0", voice="anak", width="70", note="x" * 21,
        limit="banyak", token="a",
    )  # fmt: skip
    sent["clear-token"] = "on"

    assert problems(hook, "hook", **sent) == {
        "url": "url", "tries": "at_least", "factor": "more_than", "voice": "choice",
        "width": "choice", "note": "too_long", "limit": "whole_number", "token": "both",
    }  # fmt: skip
    assert problems(hook, "hook", **form(tries="2000")) == {"tries": "at_most"}
    assert rows_of(hook, tables.plugin_settings) == []


def test_checks_of_the_plugin_speak_their_own_words(hook):
    with pytest.raises(InvalidForm) as caught:
        save(hook, "strict", {"device": "root", "password": "panjang sekali"}, STAFF)
    assert [(one.key, one.kind, one.limit) for one in caught.value.problems] == [
        ("device", "refused", "root tidak boleh")
    ]
    assert problems(hook, "strict", device="A", password="x") == {
        "device": "too_short",
        "password": "too_short",
    }
    assert problems(hook, "strict", device="abC", password="x" * 8) == {"device": "pattern"}
    with pytest.raises(InvalidForm) as caught:
        save(hook, "strict", {"device": "abcdef", "password": "abcdefabcdef"}, STAFF)
    assert [(one.key, one.limit) for one in caught.value.problems] == [
        ("", f"{MASK} terlalu mudah")
    ]


def test_settings_that_are_lacking_have_a_reason(hook):
    with pytest.raises(PluginSettingsInvalid) as caught:
        read(hook, "strict")
    assert caught.value.reason == "device: required, password: required"
    save(hook, "strict", {"device": "abc", "password": "panjang sekali"}, STAFF)

    assert read(hook, "strict").device == "abc"


def test_no_settings_no_form(opened):
    clinic = opened(quiet=lambda: None)

    assert settings_model(clinic, "quiet") is None
    assert plugin_config(clinic, "quiet") is None
    for ask in (read, field_states):
        with pytest.raises(NotFound):
            ask(clinic, "quiet")
        with pytest.raises(NotFound):
            ask(clinic, "nobody")


# Secrets


def test_a_secret_is_encrypted_and_never_shown(hook, caplog):
    with caplog.at_level(logging.DEBUG):
        save(hook, "hook", form(token="rahasia-1"), STAFF)
    (row,) = rows_of(hook, tables.plugin_settings)

    assert row["is_secret"]
    assert row["value"].startswith("v1.")
    (state,) = [one for one in field_states(hook, "hook") if one.field.key == "token"]
    assert (state.text, state.is_stored) == ("", True)
    everything = [rows_of(hook, table) for table in tables.metadata.sorted_tables]
    assert "rahasia-1" not in repr(everything) + caplog.text
    assert "rahasia-1" not in repr(read(hook, "hook"))


def test_an_empty_secret_stays_and_a_switch_clears_it(hook):
    save(hook, "hook", form(token=" rahasia "), STAFF)
    save(hook, "hook", form(tries="7"), STAFF)
    assert read(hook, "hook").token == SecretStr(" rahasia ")

    save(hook, "hook", form(**{"clear-token": "on"}), STAFF)
    assert read(hook, "hook").token is None
    assert "token" not in {row["key"] for row in rows_of(hook, tables.plugin_settings)}
    assert rows_of(hook, tables.audit)[-1]["new_values"] == {"tries": 5, "token": None}


def test_a_required_secret_cannot_be_cleared(hook):
    save(hook, "strict", {"device": "abc", "password": "panjang sekali"}, STAFF)

    sent = {"device": "abc", "password": "", "clear-password": "on"}
    assert problems(hook, "strict", **sent) == {"password": "required"}


def test_a_secret_of_another_plugin_does_not_decrypt(hook):
    """Whoever copies a row in the database gains nothing."""
    save(hook, "strict", {"device": "abc", "password": "panjang sekali"}, STAFF)
    (stolen,) = [row for row in rows_of(hook, tables.plugin_settings) if row["is_secret"]]
    hook.db.write(
        lambda tx: tx.conn.execute(
            insert(tables.plugin_settings).values({**stolen, "plugin": "hook", "key": "token"})
        )
    )

    hook.configs.forget()
    with pytest.raises(PluginSettingsInvalid, match="token cannot be read: it was changed"):
        read(hook, "hook")


def test_what_was_a_secret_never_becomes_readable(opened, key_path):
    class Before(BaseModel):
        token: SecretStr = SecretStr("")

    class After(BaseModel):
        token: str = "terbuka"

    save(opened(hook=Before), "hook", {"token": "rahasia-1"}, STAFF)
    clinic = opened(hook=After)

    assert read(clinic, "hook") == After()
    assert [state.text for state in field_states(clinic, "hook")] == ["terbuka"]
    save(clinic, "hook", {"token": "terbuka"}, STAFF)
    assert [row["is_secret"] for row in rows_of(clinic, tables.plugin_settings)] == [False]


def test_a_plain_value_that_became_a_secret_is_encrypted_at_the_next_change(opened, key_path):
    class Before(BaseModel):
        token: str = ""

    class After(BaseModel):
        token: SecretStr = SecretStr("")

    save(opened(hook=Before), "hook", {"token": "rahasia-1"}, STAFF)
    clinic = opened(hook=After)
    assert read(clinic, "hook") == After(token=SecretStr("rahasia-1"))
    assert [state.text for state in field_states(clinic, "hook")] == [""]
    save(clinic, "hook", {"token": ""}, STAFF)

    assert "rahasia-1" not in repr(rows_of(clinic, tables.plugin_settings))
    assert read(clinic, "hook") == After(token=SecretStr("rahasia-1"))


def test_no_secret_no_key_file(opened):
    clinic = opened(hook=Hook)
    save(clinic, "hook", form(tries="6"), STAFF)

    assert read(clinic, "hook").tries == 6
    with pytest.raises(InvalidForm) as caught:
        save(clinic, "hook", form(tries="7", token="rahasia-1"), STAFF)
    (problem,) = caught.value.problems
    assert (problem.key, problem.kind) == ("token", "no_key")
    assert "secret.key is missing" in problem.limit
    assert read(clinic, "hook").tries == 6


def test_a_lost_key_file_has_a_reason_and_the_secret_can_be_typed_anew(opened, key_path):
    save(opened(hook=Hook), "hook", form(token="rahasia-1"), STAFF)
    key_path.unlink()
    make_key_file(key_path)
    clinic = opened(hook=Hook)

    with pytest.raises(PluginSettingsInvalid, match=r"token cannot be read: its key .* is not in"):
        read(clinic, "hook")
    (state,) = [one for one in field_states(clinic, "hook") if one.unreadable]
    assert state.is_stored
    assert problems(clinic, "hook", **form()) == {"token": "unreadable"}
    save(clinic, "hook", form(token="rahasia-2"), STAFF)
    assert read(clinic, "hook").token == SecretStr("rahasia-2")


def test_each_plugin_has_its_own_settings_only(hook):
    save(hook, "strict", {"device": "abc", "password": "panjang sekali"}, STAFF)

    assert isinstance(plugin_config(hook, "hook"), Hook)
    assert "panjang" not in plugin_config(hook, "hook").model_dump_json()


# What goes wrong


def test_broken_rows_have_a_reason_and_a_form_that_mends_them(hook):
    table = tables.plugin_settings
    save(hook, "hook", form(tries="6", note="a"), STAFF)
    for text, reason in (
        ("{not json", "tries cannot be read"),
        ('"x"', "tries: "),
        ("[1]", "read"),
    ):
        hook.db.write(
            lambda tx, text=text: (
                tx.conn.execute(update(table).where(table.c.key == "tries").values(value=text)),
                tx.touch("settings"),
            )
        )
        with pytest.raises(PluginSettingsInvalid, match=reason):
            read(hook, "hook")
        assert len(field_states(hook, "hook")) == 10
        save(hook, "hook", form(tries="5", note="a"), STAFF)
        assert read(hook, "hook").tries == 5


def test_values_of_an_older_model_are_left_alone(opened):
    class Older(BaseModel):
        gone: str = ""
        tries: int = 1

    save(opened(hook=Older), "hook", {"gone": "x", "tries": "9"}, STAFF)

    assert read(opened(hook=Hook), "hook").tries == 9


def fall():
    raise RuntimeError("no")


class Hangs(BaseModel):
    name: str = ""

    @field_validator("name")
    @classmethod
    def think(cls, value: str) -> str:
        while value == "lama":
            time.sleep(0.01)
        if value == "jatuh":
            raise RuntimeError("rahasia-1")
        if value == "keluar":
            sys.exit("rahasia-1")
        return value


@pytest.mark.parametrize(
    ("model", "words"),
    [(fall, "raised: RuntimeError: no"), (lambda: 7, "nonsense"), (Many, "names")],
)
def test_a_bad_model_is_a_fault_with_a_reason(opened, model, words, caplog):
    clinic = opened(hook=model, good=Hook)

    for _ in range(3):
        with pytest.raises(PluginSettingsInvalid, match=words):
            plugin_config(clinic, "hook")
    with pytest.raises(PluginSettingsInvalid):
        save(clinic, "hook", {}, STAFF)
    assert read(clinic, "good") == Hook()
    assert caplog.text.count("hook register_settings") == 1


def test_a_model_that_hangs_or_falls_costs_its_own_form_only(opened, monkeypatch):
    clinic = opened(hook=Hangs)

    with monkeypatch.context() as hasty:
        hasty.setattr(forms.guarded, "__defaults__", (0.2,))
        assert problems(clinic, "hook", name="lama") == {"": "slow"}
    for name, error in (("jatuh", "RuntimeError"), ("keluar", "SystemExit")):
        with pytest.raises(InvalidForm) as caught:
            save(clinic, "hook", {"name": name}, STAFF)
        (problem,) = caught.value.problems
        assert (problem.kind, problem.limit) == ("refused", f"its model raised {error}")
    assert save(clinic, "hook", {"name": "baik"}, STAFF)


@pytest.mark.parametrize("name", ["queue", "kiosk", "server", "database", "plugins"])
def test_a_plugin_cannot_stand_over_the_core(opened, name):
    clinic = opened(**{name: Hook})

    with pytest.raises(PluginSettingsInvalid, match="would stand over the core's"):
        plugin_config(clinic, name)
    assert clinic.settings.get("queue.priority_ratio")


def test_everything_is_asked_before_it_is_needed(opened):
    asked = []

    class Plugin:
        @hookimpl
        def register_settings(self):
            asked.append(1)
            return Hook

    clinic = opened()
    clinic.plugins.manager.register(Plugin(), "late")
    clinic.configs.warm()
    assert asked == []
    assert clinic.configs.get("late") == Hook()
    assert clinic.configs.get("late") == Hook()
    assert asked == [1]


def test_a_plugin_sees_no_other_plugins_secret(puskesmas_clinics):
    """What the published API lends it holds its own settings and the clinic's, and no more."""

    class Vault(BaseModel):
        token: SecretStr = SecretStr("")

    class Keeper:
        @hookimpl
        def register_settings(self):
            return Vault

    class Thief:
        seen: ClassVar[list[object]] = []

        @hookimpl
        def format_ticket_number(self, ctx):
            self.seen.append(ctx)

        @hookimpl
        def ticket_issued(self, ctx):
            self.seen.append(ctx)

    hall = puskesmas_clinics(keeper=Keeper(), thief=Thief())
    hall.configure("keeper", token="rahasia-sekali")
    hall.issue()
    hall.deliver()
    assert hall.context("keeper").config.token.get_secret_value() == "rahasia-sekali"
    assert len(Thief.seen) == 2
    for ctx in [*Thief.seen, hall.context("thief")]:
        assert ctx.config is None
        assert ctx.data is None
        for key in ("keeper.token", "token", "keeper"):
            with pytest.raises(UnknownName):
                ctx.settings.get(key)
        assert "rahasia-sekali" not in repr(ctx)
