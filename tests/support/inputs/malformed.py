"""Malformed events, each with the field that the refusal has to name."""

import json
from typing import Any

from tests.support.builders import MONDAY, answered, asked, cloud, completed, repromised, scanned


def without(field: str) -> bytes:
    parsed = json.loads(completed())
    del parsed["data"][field]
    return json.dumps(parsed).encode()


def changed(path: str, value: object) -> bytes:
    """The order with one value deep inside replaced, by a path like "lines.0.ordered"."""
    parsed = json.loads(completed())
    *parents, last = ["data", *path.split(".")]
    target: Any = parsed
    for step in parents:
        target = target[int(step)] if step.isdigit() else target[step]
    target[last] = value
    return json.dumps(parsed).encode()


MALFORMED = {
    "no order id": (without("order_id"), "data.order_id"),
    "no account": (without("account"), "data.account"),
    "empty order id": (changed("order_id", ""), "data.order_id"),
    "wrong type": (changed("order_id", 17), "data.order_id"),
    "a list where a mapping belongs": (changed("dimensions", ["Lyon"]), "data.dimensions"),
    "an empty dimension": (changed("dimensions.depot", ""), "data.dimensions[...]"),
    "time without offset": (changed("completed_at", "2026-03-02T09:00:00"), "data.completed_at"),
    "promise without offset": (changed("promised_at", "2026-03-02T09:00:00"), "data.promised_at"),
    "promise that is no date": (changed("promised_at", "2026-02-30"), "data.promised_at"),
    "date without a time zone": (changed("promised_at", "2026-03-02"), "data.timezone"),
    "unknown time zone": (changed("timezone", "Europe/Lyon"), "data.timezone"),
    "time zone that is a path": (changed("timezone", "../../etc/passwd"), "data.timezone"),
    "year out of range": (changed("completed_at", "9999-12-31T23:59:59-23:00"), "data.completed_at"),
    "unknown role": (changed("contacts.0.role", "boss"), "data.contacts[0].role"),
    "unknown zone of a contact": (changed("contacts.0.timezone", "Mars/Olympus"), "data.contacts[0].timezone"),
    "10,000 contacts": (changed("contacts", [{"id": str(n), "role": "user"} for n in range(10_000)]), "data.contacts"),
    "negative quantity": (changed("lines.0.ordered", -1), "data.lines[0].ordered"),
    "quantity as text": (changed("lines.0.ordered", "10"), "data.lines[0].ordered"),
    "quantity that is no number": (changed("lines.0.delivered", "NaN"), "data.lines[0].delivered"),
    "quantity without an end": (completed().replace(b'"ordered":10', b'"ordered":1e999'), "data.lines[0].ordered"),
    "more than a million millions": (changed("lines.0.ordered", 1_000_000_000_001), "data.lines[0].ordered"),
    "a truth as a quantity": (changed("lines.0.ordered", True), "data.lines[0].ordered"),
    "negative quantity of a scan": (scanned(lines=[{"sku": "a", "delivered": -0.1}]), "data.lines[0].delivered"),
    "no shipments": (changed("shipments", 0), "data.shipments"),
    "NUL": (changed("account.name", "Atelier\x00Roux"), "data.account.name"),
    "NUL in an unknown field": (changed("memo", {"deep": ["\x00"]}), "data.memo.deep[0]"),
    "lone surrogate": (completed().replace(b'"Lyon"', b'"\\ud800"'), "data.dimensions.depot"),
    "unknown status": (scanned(status="teleported"), "data.status"),
    "unknown purpose": (asked("SO-1", MONDAY, purpose="curiosity"), "data.purpose"),
    "score off the scale": (answered(score={"value": 0, "scale": 5}), "data.score.value"),
    "score above ten": (answered(score={"value": 11}), "data.score.value"),
    "unknown condition": (answered(condition=["soggy"]), "data.condition[0]"),
    "repromise by date without a zone": (repromised("SO-1", MONDAY, "2026-03-09"), "data.timezone"),
    "unknown type": (cloud("order.dreamt", "1", MONDAY, {}), "type"),
    "no id": (json.dumps({k: v for k, v in json.loads(completed()).items() if k != "id"}).encode(), "id"),
    "wrong specversion": (completed(_={"specversion": "0.3"}), "specversion"),
    "event time without offset": (completed().replace(b'09:00:00Z","data"', b'09:00:00","data"'), "time"),
    "broken JSON": (completed()[:-2], ""),
    "not an object": (b"[1, 2]", ""),
    "nothing": (b"", ""),
    "not UTF-8": (completed().replace(b"Lyon", b"Ly\xff\xfe"), ""),
    "2 MB": (changed("memo", "x" * (2 << 20)), ""),
    "a hundred thousand brackets": (completed().replace(b'"GLV-9"', b"[" * 100_000 + b"]" * 100_000), ""),
}  # fmt: skip
