"""Persons and erasures in a terminal, and exports as JSON and as a page."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from pipeline.notifiers.wording.sentences import plain
from pipeline.store.people.erasure import Erasure
from pipeline.store.people.persons import PersonData, PersonSummary

_LISTS = ("addresses", "orders", "questions", "answers", "texts", "conversations", "messages", "cases")


def show_persons(console: Console, found: Iterable[PersonSummary]) -> None:
    """Print those who share an address."""
    table = Table("account", "contact", "orders", "opted out", title="Contacts with this number or address")
    for person in found:
        stopped = "yes" if person.opted_out else "no"
        table.add_row(plain(person.account_id), plain(person.contact_id), str(person.orders), stopped)
    console.print(table)


def show_erasures(console: Console, found: Sequence[Erasure]) -> None:
    """Print erasures and what they wait for."""
    if not found:
        console.print("No erasures.")
        return
    table = Table("id", "person", "asked for", "by", "state")
    for one in found:
        table.add_row(
            one.id, plain(str(one.person)), f"{one.requested_at:%Y-%m-%d %H:%M}", plain(one.requested_by), _state(one)
        )
    console.print(table)


def show_pending(console: Console, waiting: Sequence[Erasure]) -> None:
    """Print the erasures that are not carried out yet, as the report shows them."""
    if waiting:
        alone = sum(one.due_at is not None for one in waiting)
        text = f"Erasures that wait: {len(waiting)}, of which {alone} take effect without a second user."
        console.print(f"\n{text} They are listed by: unvarnished person erasures", highlight=False)


def _state(one: Erasure) -> str:
    if one.done_at is not None:
        return f"erased {one.done_at:%Y-%m-%d}, {one.orders} orders"
    if one.due_at is not None:
        return f"no user may confirm it: takes effect {one.due_at:%Y-%m-%d %H:%M} UTC"
    return "waits for a second user (page of erasures)"


def export_json(found: Sequence[PersonData]) -> str:
    """The export as JSON: a list with one object for each person."""
    return msgspec.json.format(msgspec.json.encode(found)).decode()


def export_html(found: Sequence[PersonData]) -> str:
    """The export as a page that needs nothing else."""
    body = "".join(_person(person) for person in found)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Personal data</title>'
        "<style>body{font:1rem/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse}td,th{border:1px solid #999;padding:.25rem .5rem;text-align:left;"
        "vertical-align:top}</style></head><body><main><h1>Personal data</h1>"
        f"{body}</main></body></html>"
    )


def _person(person: PersonData) -> str:
    data = msgspec.to_builtins(person)
    identity = {name: value for name, value in data.items() if name not in _LISTS}
    lists = "".join(f"<h3>{escape(name.capitalize())}</h3>{_rows(data[name])}" for name in _LISTS)
    return f"<h2>{escape(person.account_id)} / {escape(person.contact_id)}</h2>{_rows([identity])}{lists}"


def _rows(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "<p>Nothing.</p>"
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in names)
    lines = "".join("<tr>" + "".join(f"<td>{_cell(row.get(name))}</td>" for name in names) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return escape(msgspec.json.encode(value).decode())
    return escape(value.isoformat() if isinstance(value, datetime) else str(value))
