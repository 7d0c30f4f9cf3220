"""Applies one API request to an instance: the only place that changes rows on behalf of a caller."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from sandbox import attachments, custom_fields, listing, orders, rights, rules, views
from sandbox.errors import Answer, RefusalError, binding_error, empty, json_answer, rule_error
from sandbox.instance import Instance
from sandbox.lookups import row_id
from sandbox.resources import BY_PATH, LINE_LINK_TABLE, Resource
from sandbox.schema import Faults
from sandbox.state import Values


@dataclass(frozen=True, slots=True)
class Call:
    """One API request. `path` starts after /api; `query` holds the first value of each parameter."""

    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    resource: Resource
    record: str | None


def target(path: str) -> Target | None:
    """The resource that a path names, or None when there is no such route."""
    parts = [part for part in path.split("/") if part]
    resource = BY_PATH.get(parts[0].lower()) if 1 <= len(parts) <= 2 else None
    return Target(resource, parts[1] if len(parts) == 2 else None) if resource else None


def answer(instance: Instance, call: Call) -> Answer:
    """Carries `call` out; the store's journal holds what changed. A refused element is taken back."""
    try:
        if call.path.strip("/").lower() == "control" and call.method == "GET":
            rights.check(instance.config.denied, "Control", "GET")
            shown = {"clientMainContactCompulsary": instance.main_contact_compulsory}
            return json_answer(200, {**instance.control, **shown})
        found = target(call.path)
        if found is None:
            raise empty(404)
        rights.check(instance.config.denied, found.resource.name, call.method)
        match call.method, found.record:
            case "GET", None:
                return json_answer(200, listing.answer(instance, found.resource, call.query))
            case "GET", str() as record if found.resource.name == "Attachment":
                return attachments.download(stored(instance, found.resource, numeric(record)))
            case "GET", record:
                return json_answer(200, get(instance, found.resource, str(record), call.query))
            case "POST", None:
                return post(instance, found.resource, call)
            case "DELETE", str() as record:
                number = numeric(record)
                rights.check(instance.config.denied, found.resource.name, "DELETE", number)
                delete(instance, found.resource, number)
                return Answer(200)
            case "POST", _:
                raise empty(404)
            case _:
                raise empty(405)
    except RefusalError as refusal:
        return refusal.answer


def get(instance: Instance, resource: Resource, record: str, query: Mapping[str, str]) -> dict[str, Any]:
    me = resource.name == "Agent" and record.lower() == "me"
    number = instance.config.agent_id if me else numeric(record)
    if resource.name == "Lookup":
        number = row_id(numeric(query.get("lookupid", "0"), "lookupid"), number)
    values = stored(instance, resource, number)
    return views.one(instance, resource, values, details=views.is_true(query, "includedetails"))


def stored(instance: Instance, resource: Resource, number: int) -> Values:
    """The row that a GET by id is about. Raises RefusalError."""
    rights.check(instance.config.denied, resource.name, "GET", number)
    values = instance.store.values(resource.table, number)
    if values is None:
        raise empty(404)
    return values


def post(instance: Instance, resource: Resource, call: Call) -> Answer:
    if not resource.writable:
        raise empty(405)
    if call.content_type.split(";")[0].strip().lower() not in {"application/json", "text/json"}:
        raise empty(415)
    elements = bound(instance, resource, call.body)
    mode = instance.config.arrays_of(resource.name)
    if mode == "single_only" and len(elements) > 1:
        raise rule_error("Only one record can be added or edited at a time")
    results = saved_in_order(instance, resource, elements, atomic=mode == "atomic")
    only_one = len(results) == 1 or (results and instance.config.array_answer == "one")
    return json_answer(201, results[0] if only_one else results)


def saved_in_order(
    instance: Instance, resource: Resource, elements: list[dict[str, Any]], *, atomic: bool
) -> list[dict[str, Any]]:
    """The saved records; a refused element is taken back, and when `atomic` those before it as well."""
    start = instance.store.mark()
    results = []
    for element in elements:
        before = instance.store.mark()
        try:
            results.append(save(instance, resource, element))
        except RefusalError:
            instance.store.undo_to(start if atomic else before)
            raise
    return results


def bound(instance: Instance, resource: Resource, body: bytes) -> list[dict[str, Any]]:
    """The array's elements with Halo's types, or a binding error that names every fault."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise binding_error({"": [f"{error} Path '', line 1, position 0."]}) from None
    if not isinstance(value, list):
        text = "Cannot deserialize the current JSON value: an array is required."
        raise binding_error({"": [f"{text} Path '', line 1, position 1."]})
    faults: Faults = {}
    elements = []
    for index, element in enumerate(value):
        at = f"[{index}]"
        if isinstance(element, dict):
            elements.append(instance.schema.bind(resource.table, element, at, faults))
        else:
            faults[at] = [f"Error converting value to an object. Path '{at}', line 1, position 0."]
    if faults:
        raise binding_error(faults)
    return elements


def save(instance: Instance, resource: Resource, element: dict[str, Any]) -> dict[str, Any]:
    """Creates (no id, or 0) or updates one record; never looks for a duplicate."""
    store, table = instance.store, resource.table
    number = element.get("id") or 0
    rights.check(instance.config.denied, resource.name, "POST", number)
    before = store.values(table, number) if number else None
    if number and before is None:
        raise empty(404)
    values = rules.prepared(instance, table, before, element)
    values = with_custom_fields(instance, table, before, element, values)
    if before is None:
        number = store.new_id(table)
    store.put(table, {**values, "id": number})
    if before is None and table == "Client":
        rules.after_client(instance, number, element)
    if table == "Quotation":
        orders.after_quote(instance, number, before)
    if before is None and table == "CustomIntegration":
        store.put(table, {**values, "id": number, "module_id": 10_000 + number})
    write_links(instance, resource, number, element)
    return views.saved(instance, resource, store.get(table, number).values)  # type: ignore[union-attr]


def with_custom_fields(
    instance: Instance, table: str, before: Values | None, element: dict[str, Any], values: dict[str, Any]
) -> dict[str, Any]:
    """The row with its custom fields, and those of a quote's lines, as they are after this write."""
    made = merged_fields(instance, before or {}, element, values)
    if table != "Quotation" or "lines" not in element:
        return made
    known = {line["id"]: line for line in (before or {}).get("lines") or ()}
    lines = [
        merged_fields(instance, known.get(line["id"], {}), sent, line)
        for sent, line in zip(element["lines"], made["lines"], strict=True)
    ]
    return {**made, "lines": lines}


def merged_fields(
    instance: Instance, before: Mapping[str, Any], sent: Mapping[str, Any], values: dict[str, Any]
) -> dict[str, Any]:
    if custom_fields.FIELD not in sent:
        return values
    fields = custom_fields.merged(
        instance.store, before.get(custom_fields.FIELD) or (), sent[custom_fields.FIELD]
    )
    return {**values, custom_fields.FIELD: fields}


def write_links(instance: Instance, resource: Resource, number: int, element: Mapping[str, Any]) -> None:
    """Rows of ExternalLink for every `new_external_link` sent, one more each time it is sent."""
    if not instance.config.external_link_on_write:
        return
    if resource.link_table is not None and element.get("new_external_link"):
        link(instance, resource.link_table, number, element["new_external_link"])
    if resource.table == "Quotation" and "lines" in element:
        stored = instance.store.values("Quotation", number) or {}
        for sent, line in zip(element["lines"], stored["lines"], strict=True):
            if sent.get("new_external_link"):
                link(instance, LINE_LINK_TABLE, line["id"], sent["new_external_link"])


def link(instance: Instance, table_id: int, halo_id: int, sent: Mapping[str, Any]) -> None:
    element = {**sent, "table_id": table_id, "halo_id": halo_id}
    element.pop("id", None)
    instance.store.put("ExternalLink", rules.external_link(instance, None, element))


def delete(instance: Instance, resource: Resource, number: int) -> None:
    if not resource.writable or instance.store.get(resource.table, number) is None:
        raise empty(404)
    if resource.table == "Item" and sold(instance, number):
        raise rule_error("This Item is in use. Please make it obsolete instead")
    remove(instance, resource, number)


def sold(instance: Instance, item_id: int) -> bool:
    quotes = instance.store.table("Quotation").values()
    return any(line.get("item_id") == item_id for quote in quotes for line in quote.values.get("lines", ()))


CHILDREN: Mapping[str, tuple[tuple[str, str], ...]] = {
    "Client": (("Site", "client_id"), ("Users", "client_id")),
    "Site": (("Users", "site_id"),),
}


def remove(instance: Instance, resource: Resource, number: int) -> None:
    """Deletes a record, the sites and contacts below it, and their links."""
    store = instance.store
    for table, field in CHILDREN.get(resource.table, ()):
        below = [row_id for row_id, row in store.table(table).items() if row.values.get(field) == number]
        for child in below:
            store.remove(table, child)
    for found in views.links(instance, resource.link_table or -1, number):
        store.remove("ExternalLink", found["id"])
    store.remove(resource.table, number)


def numeric(text: str, name: str = "id") -> int:
    try:
        return int(text)
    except ValueError:
        raise binding_error({name: [f"The value '{text}' is not valid."]}) from None
