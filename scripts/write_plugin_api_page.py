"""Writes docs/plugin-api.md from what plugins import, and its docstrings; a test compares them."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from puskesmas_queue import api, plugin_tables, testing
from puskesmas_queue.domain.access import DEVICE_PERMISSIONS, Permission, Principal, Role, may
from puskesmas_queue.plugin_host.contributions import DECLARABLE

PAGE = Path(__file__).resolve().parent.parent / "docs/plugin-api.md"
HEAD = """\
# What plugins import

Everything in `puskesmas_queue.api`, for tables in `puskesmas_queue.plugin_tables`, and for tests in
`puskesmas_queue.testing`. What is not here
may change without notice. [Hooks](hooks.md) says which hook takes and answers which of them,
[Your first plugin](first-plugin.md) how to begin.

All are frozen dataclasses or enumerations: nothing of them can be changed, only made. Times are
aware, and in UTC where nothing else is said. This page is written by
`scripts/write_plugin_api_page.py` from the docstrings.
"""
GROUPS = {
    "What hooks are given": [
        "Context", "Fact", "TicketFact", "DayFact", "DayShare", "TicketRequest", "LineHeads",
        "Head", "Ratio", "RatioState", "Call", "PluginData", "PluginDataUnavailable",
    ],
    "What decisions answer": ["LaneChoice", "Announcement"],
    "Names of things": [
        "Lane", "TicketState", "Source", "PaymentType", "PriorityReason", "Role", "Permission",
    ],
    "Pages and panels": [
        "PluginRoute", "PluginRequest", "PluginFile", "PluginUser", "Answer", "TemplateAnswer",
        "TextAnswer", "RedirectAnswer", "NavItem", "Panel",
    ],
    "Printers and voices": ["Printer", "Slip", "Printed", "Announcer", "Utterance", "Speech"],
    "Checks and simulators": ["HealthCheck", "Health", "Simulator", "RunningSimulator"],
    "The rest": ["hookimpl", "word_call", "Ticket"],
}  # fmt: skip
OTHERS = {
    "hookimpl": "Marks a function or method as an implementation of the hook of its name.",
    "word_call": "`word_call(call: Call) -> Announcement`: words a call the core's way, as it is "
    "spoken where no `format_announcement` says otherwise.",
    "Answer": "What a page's handler answers: `TemplateAnswer`, `TextAnswer` or `RedirectAnswer`.",
    "Instant": "A column type: an aware moment, given back in UTC on both databases. In a "
    "migration it is `sa.DateTime(timezone=True)`.",
    "MORNING": "Where the clock of a test begins: Thursday 26 February 2026, 07:30 WIB.",
}
"""Names that have no docstring of their own."""
TABLE = "| Field | Type | Unless given | Meaning |\n|---|---|---|---|\n"


def page() -> str:
    """Return the whole page."""
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(api.__all__), set(listed) ^ set(api.__all__)
    parts = [HEAD]
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_entry(name, getattr(api, name)) for name in names]
    parts.append("## For tables of its own\n")
    parts.append("In `puskesmas_queue.plugin_tables`.\n")
    parts += [_entry(name, getattr(plugin_tables, name)) for name in plugin_tables.__all__]
    parts.append("## For tests\n")
    parts.append("In `puskesmas_queue.testing`.\n")
    parts += [_entry(name, getattr(testing, name)) for name in sorted(testing.__all__)]
    return "\n".join(parts)


def _entry(name: str, one: Any) -> str:
    if name in OTHERS:
        return f"### `{name}`\n\n{OTHERS[name]}\n"
    if inspect.isfunction(one):
        return f"### `{name}`\n\n`{name}{_signature(one, 0)}`\n\n{inspect.getdoc(one)}\n"
    text, described = _split(inspect.getdoc(one) or "")
    body = [f"### `{name}`\n", f"{text}\n"]
    if one is Permission:
        body.append(_permissions())
    elif issubclass(one, Enum):
        notes = _notes(one)
        rows = [f"| `{name}.{m.name}` | `{m.value}` | {notes.get(m.name, '')} |\n" for m in one]
        body.append("| Name | Value | Meaning |\n|---|---|---|\n" + "".join(rows))
    elif one is api.Ticket:
        known = {field.name for field in fields(api.TicketFact)}
        more = ", ".join(f"`{field.name}`" for field in fields(one) if field.name not in known)
        body.append(f"It has the fields of `TicketFact` but for `unit_name`, and {more}.\n")
    elif is_dataclass(one):
        rows = [_field(field, described) for field in fields(one)]
        body.append(TABLE + "".join(rows))
        body += _methods(getattr(api, name))
    else:
        if described:
            rows = [f"| `{key}` | {meaning} |\n" for key, meaning in described.items()]
            body.append("| Argument | Meaning |\n|---|---|\n" + "".join(rows))
        body += [f"* `{key}`: {note}" for key, note in _notes(one).items()]
        body += _methods(one)
    return "\n".join(body).rstrip("\n") + "\n"


def _split(doc: str) -> tuple[str, dict[str, str]]:
    """Part a docstring into its text and what it says about each argument."""
    text, _, rest = doc.partition("\nArgs:\n")
    described: dict[str, str] = {}
    block, _, further = rest.partition("\n\n")
    for line in textwrap.dedent(block).splitlines():
        found = re.match(r"(\w+): (.*)", line)
        if found:
            described[found[1]] = found[2]
        else:
            described[next(reversed(described))] += f" {line.strip()}"
    text = re.sub(r"```python\n.*?```", "", f"{text}\n{further}", flags=re.DOTALL)
    text = re.sub(r"\n?(?:Raises|Returns|Source):.*", "", text, flags=re.DOTALL)
    return re.sub(r"\n{3,}", "\n\n", text).strip(), described


def _field(field: Any, described: dict[str, str]) -> str:
    default = ""
    if field.default is not MISSING:
        default = f"`{field.default!r}`"
    elif field.default_factory is not MISSING:
        default = f"`{field.default_factory()!r}`"
    kind = _type(field.type)
    return f"| `{field.name}` | {kind} | {default} | {described.get(field.name, '')} |\n"


def _type(kind: Any) -> str:
    text = kind if isinstance(kind, str) else inspect.formatannotation(kind)
    text = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text.replace("~", ""))
    text = text.replace("TemplateAnswer | TextAnswer | RedirectAnswer", "Answer")
    text = text.replace("Insert | Insert", "Insert")  # SQLite's and PostgreSQL's
    return f"`{text}`".replace("|", "\\|")


def _methods(one: type) -> Iterator[str]:
    """List what can be called or read, with the first sentence of each."""
    for key, member in vars(one).items():
        if key.startswith("_"):
            continue
        made = inspect.unwrap(getattr(member, "fget", None) or getattr(member, "__func__", member))
        if not inspect.isfunction(made):
            continue
        sentence = " ".join((inspect.getdoc(made) or "").split("\n\n")[0].split())
        if key.startswith("test_") or isinstance(member, property):
            yield f"* `{key}`: {sentence}"
        else:
            yield f"* `{key}{_signature(made)}`: {sentence}"


class _Written:
    """Stands in a signature for what would be shown with modules and addresses."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _signature(made: Any, first: int = 1) -> str:
    own = []
    signature = inspect.signature(made)
    for one in list(signature.parameters.values())[first:]:
        default = one.default
        if default is not inspect.Parameter.empty:
            default = _Written(_value(default))
        own.append(one.replace(annotation=_plain(one.annotation), default=default))
    answer = _plain(signature.return_annotation)
    return str(signature.replace(parameters=own, return_annotation=answer))


def _value(default: Any) -> str:
    if isinstance(default, Enum):
        return f"{type(default).__name__}.{default.name}"
    return getattr(default, "__name__", "") or repr(default)


def _plain(kind: Any) -> _Written:
    return _Written(_type(kind).strip("`").replace("\\|", "|"))


def _notes(one: type) -> dict[str, str]:
    """Read the texts that stand below the members of a class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for member, below in zip(tree.body, tree.body[1:], strict=False):
        target: ast.expr | None = member.target if isinstance(member, ast.AnnAssign) else None
        if isinstance(member, ast.Assign):
            target = member.targets[0]
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(target, ast.Name) and is_text:
            assert isinstance(below, ast.Expr)
            assert isinstance(below.value, ast.Constant)
            found[target.id] = " ".join(str(below.value.value).split())
    return found


def _permissions() -> str:
    """List each permission, who has it and whether a plugin's page may ask for it."""
    notes = _notes(Permission)
    rows = []
    for one in Permission:
        if one not in DECLARABLE:
            continue
        whose = [role.value for role in Role if may(Principal(1, "", "", role, ""), one)]
        whose += [
            f"a paired {kind.value}"
            for kind, granted in DEVICE_PERMISSIONS.items()
            if one in granted
        ]
        has = "everybody" if may(None, one) else ", ".join(whose)
        rows.append(f"| `Permission.{one.name}` | {notes.get(one.name, '')} | {has} |\n")
    return "| Name | For | Who has it |\n|---|---|---|\n" + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
