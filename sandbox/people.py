"""What a person does to a record in Halo's own screens: no API request, so neither budget nor log know of it.

Halo's rules hold all the same, and the change time of the resource rises. Both raise RefusalError.
"""

from collections.abc import Mapping
from typing import Any

from sandbox import rules, writing
from sandbox.errors import binding_error, empty
from sandbox.instance import Instance
from sandbox.resources import Resource
from sandbox.schema import Faults
from sandbox.state import Values


def edit(instance: Instance, resource: Resource, number: int, fields: Mapping[str, Any]) -> Values:
    """The row with `fields` changed, as stored; null empties a field. An unknown field is refused, as is `id`."""
    store, table = instance.store, resource.table
    before = store.values(table, number)
    if before is None or not resource.writable:
        raise empty(404)
    known = instance.schema.fields(table).keys() - {"id"}
    faults: Faults = {name: ["is no field that can be edited."] for name in fields if name not in known}
    element = instance.schema.bind(table, fields, "", faults)
    if faults:
        raise binding_error(faults)
    emptied = {name for name, value in fields.items() if value is None}
    kept = {name: value for name, value in before.items() if name not in emptied}
    store.put(table, rules.prepared(instance, table, kept, element))
    store.take_journal()
    return store.get(table, number).values  # type: ignore[union-attr]


def remove(instance: Instance, resource: Resource, number: int) -> None:
    """Deletes the record and what hangs under it, as a DELETE of the API would."""
    writing.delete(instance, resource, number)
    instance.store.take_journal()
