"""Loads a tenant's data from YAML or JSON: a mapping of resource name to rows, plus `Control` and `config`.

Rows are placed as they are, at once visible to searches, without the rules of the API; only quotes are
computed and a client or site is given its first site or contact. `Opportunities` and `Tickets` are one table.

    FixtureError  the text, a resource name or a row's type is wrong; says all faults at once
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from sandbox import quotation, rules
from sandbox.config import InstanceConfig, amended
from sandbox.instance import Instance
from sandbox.lookups import row_id
from sandbox.resources import BY_PATH, RESOURCES
from sandbox.schema import Faults, Schema

# Parents before children.
ORDER = tuple(dict.fromkeys(("Tax", "Currency", *(resource.table for resource in RESOURCES))))


class FixtureError(ValueError):
    """A fixture that cannot be loaded; its text names every fault."""


@dataclass(frozen=True, slots=True)
class Fixture:
    """Checked rows by table, in loading order."""

    rows: Mapping[str, list[dict[str, Any]]]
    config: Mapping[str, Any]
    control: Mapping[str, Any]

    def configured(self, config: InstanceConfig) -> InstanceConfig:
        return amended(config, dict(self.config))


def read(path: Path, schema: Schema) -> Fixture:
    return parse(path.read_text(encoding="utf-8"), schema)


def parse(text: str, schema: Schema) -> Fixture:
    """The fixture in `text` (YAML, of which JSON is a part); raises FixtureError."""
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise FixtureError(f"not YAML: {error}") from None
    if not isinstance(document, dict):
        raise FixtureError("the fixture must be a mapping of resource names to rows")
    config, control = document.pop("config", None) or {}, document.pop("Control", None) or {}
    faults: Faults = {}
    tables: dict[str, list[dict[str, Any]]] = {}
    for name, rows in document.items():
        resource = BY_PATH.get(str(name).lower())
        if resource is None or not isinstance(rows, list):
            faults[str(name)] = ["must be the name of a resource, with a list of rows"]
            continue
        tables.setdefault(resource.table, []).extend(bound(schema, resource.table, str(name), rows, faults))
    try:
        amended(InstanceConfig(), config)
    except (msgspec.ValidationError, AttributeError) as error:
        faults["config"] = [str(error)]
    if faults:
        raise FixtureError("; ".join(f"{path}: {' '.join(texts)}" for path, texts in faults.items()))
    return Fixture({table: tables[table] for table in ORDER if table in tables}, config, control)


def bound(schema: Schema, table: str, name: str, rows: list[Any], faults: Faults) -> Iterator[dict[str, Any]]:
    for index, row in enumerate(rows):
        at = f"{name}[{index}]"
        if not isinstance(row, dict):
            faults[at] = ["must be a mapping of field names to values."]
            continue
        plain = msgspec.to_builtins(row, str_keys=True)
        unknown = [f"{at}.{field}" for field in plain if field not in schema.fields(table)]
        for path in unknown:
            faults[path] = ["is no field of this resource."]
        yield schema.bind(table, plain, at, faults)


def load(instance: Instance, fixture: Fixture) -> dict[str, int]:
    """Adds the fixture's rows to the instance, replacing rows of the same id; says how many by table."""
    for table, rows in fixture.rows.items():
        for values in rows:
            place(instance, table, values)
    adopt_first_children(instance)
    instance.control = {**instance.control, **fixture.control}
    instance.store.take_journal()
    return {table: len(rows) for table, rows in fixture.rows.items()}


def place(instance: Instance, table: str, values: dict[str, Any]) -> None:
    store = instance.store
    if table == "Lookup":
        code = values.get("id", 0)
        values = {**values, "id": row_id(values.get("lookupid", 0), code), "id_in_lookup": code}
    if table == "Quotation":
        sent = values.get("lines", ())
        known = [{"id": line["id"]} for line in sent if line.get("id")]
        for line in known:
            store.reserve("QuotationDetail", line["id"])
        lines = quotation.merged_lines(known, sent, lambda: store.new_id("QuotationDetail"))
        values = {"status": 0, **values, "lines": lines, "last_update_time": instance.now(), "change_seq": 1}
        values = quotation.settled(values, rules.taxing(instance, values))
    row = values if values.get("id") else {**values, "id": store.new_id(table)}
    store.reserve(table, row["id"])
    store.put(table, row, at_once=True)


def adopt_first_children(instance: Instance) -> None:
    """Names the first site of a client and the first contact of a site where the fixture left that out."""
    store = instance.store
    for child, reference, parent, field in (
        ("Users", "site_id", "Site", "maincontact_id"),
        ("Site", "client_id", "Client", "main_site_id"),
        ("Users", "client_id", "Client", "main_contact_id"),
    ):
        for child_id, row in sorted(store.table(child).items()):
            owner = store.values(parent, row.values.get(reference))
            if owner is not None and not owner.get(field):
                store.put(parent, {**owner, field: child_id})
