"""Lists as Halo answers them: filters, "contains" search, order, paging, and the wrapper or bare array."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from sandbox import attachments, rules, views
from sandbox.errors import RefusalError, binding_error, text_error
from sandbox.instance import Instance
from sandbox.resources import Resource
from sandbox.schema import MismatchError, scalar
from sandbox.state import Row, Values

Query = Mapping[str, str]
DEFAULT_PAGE_SIZE = 50
EXACT = 2


def answer(instance: Instance, resource: Resource, query: Query) -> Any:
    """The JSON value of `GET /<resource>?query`; raises RefusalError for an unreadable filter value."""
    if resource.name == "Attachment":
        attachments.check_owner(query)
    rows = [row.values for row in matching(instance, resource, query)]
    order(rows, query)
    count = len(rows)
    paging = resource.paged and views.is_true(query, "pageinate")
    page: dict[str, int] = {}
    if paging:
        size, number = positive(query, "page_size", DEFAULT_PAGE_SIZE), positive(query, "page_no", 1)
        rows = rows[(number - 1) * size : number * size]
        page = {"page_no": number, "page_size": size}
    else:
        rows = rows[: positive(query, "count", instance.config.row_limit)]
    shown = [shape(instance, resource, row, query) for row in rows]
    key = resource.list_key or (resource.paged_key if paging else None)
    return shown if key is None else {"record_count": count, **page, key: shown}


def shape(instance: Instance, resource: Resource, row: Values, query: Query) -> dict[str, Any]:
    if views.is_true(query, "idonly") and not views.is_true(query, "pageinate"):
        return {"id": row["id"]}
    return views.listed(instance, resource, row, query)


def matching(instance: Instance, resource: Resource, query: Query) -> Iterator[Row]:
    tests = list(row_tests(instance, resource, query))
    for row in instance.store.visible(resource.table):
        if all(test(row) for test in tests):
            yield row


def row_tests(instance: Instance, resource: Resource, query: Query) -> Iterator[Callable[[Row], bool]]:
    for name, field in resource.filters.items():
        if query.get(name):
            yield equals(field, frozenset({typed(instance, resource, field, name, query[name])}))
    for name, field in resource.many.items():
        if query.get(name):
            parts = query[name].split(",")
            yield equals(field, frozenset(typed(instance, resource, field, name, part) for part in parts))
    if query.get("search") and resource.search:
        yield contains(search_columns(resource, query), query["search"])
    if not views.is_true(query, "includeinactive"):
        yield is_active
    if resource.by_change:
        yield from changed_between(query)
    if query.get("advanced_search"):
        yield from advanced(instance, resource, query["advanced_search"])
    yield from special(instance, resource, query)


def special(instance: Instance, resource: Resource, query: Query) -> Iterator[Callable[[Row], bool]]:
    """Filters that only one resource has."""
    opportunities = query.get("domain", "").lower() == "opps"
    match resource.name:
        case "Opportunities":
            yield lambda row: views.is_opportunity(instance, row.values)
        case "Tickets" if opportunities:
            yield lambda row: views.is_opportunity(instance, row.values)
        case "TicketType" if opportunities:
            yield lambda row: row.values.get("use") == views.OPPORTUNITY_USE
        case "Item":
            yield from item_tests(query)
        case "Agent":
            yield from agent_tests(query)
        case _:
            return


def item_tests(query: Query) -> Iterator[Callable[[Row], bool]]:
    """An obsolete item is out of lists unless inactive ones are asked for."""
    if not views.is_true(query, "includeinactive"):
        yield lambda row: row.values.get("status") != rules.OBSOLETE
    if views.is_true(query, "recurringonly"):
        yield lambda row: bool(row.values.get("isrecurringitem"))
    if views.is_true(query, "excluderecurring"):
        yield lambda row: not row.values.get("isrecurringitem")


def agent_tests(query: Query) -> Iterator[Callable[[Row], bool]]:
    if not views.is_true(query, "includedisabled"):
        yield lambda row: not row.values.get("isdisabled")
    if not views.is_true(query, "includeapiagents"):
        yield lambda row: not row.values.get("isapiagent")


def equals(field: str, wanted: frozenset[Any]) -> Callable[[Row], bool]:
    return lambda row: row.values.get(field) in wanted


def contains(columns: Iterable[str], text: str) -> Callable[[Row], bool]:
    needle = text.casefold()
    return lambda row: any(needle in str(row.values.get(column) or "").casefold() for column in columns)


def search_columns(resource: Resource, query: Query) -> tuple[str, ...]:
    if resource.name == "Users" and views.is_true(query, "search_phonenumbers"):
        return (*resource.search, "phonenumber", "mobilenumber")
    return resource.search


def is_active(row: Row) -> bool:
    return not row.values.get("inactive")


def changed_between(query: Query) -> Iterator[Callable[[Row], bool]]:
    if query.get("lastupdatefromdate"):
        start = moment(query, "lastupdatefromdate")
        yield lambda row: row.updated >= start
    if query.get("lastupdatetodate"):
        end = moment(query, "lastupdatetodate")
        yield lambda row: row.updated <= end


def moment(query: Query, name: str) -> datetime:
    """A UTC moment; the `+` of an offset may have become a space on its way through the query string."""
    text = query[name].strip()
    try:
        value = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise invalid(name, text) from None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Condition(msgspec.Struct):
    filter_name: str
    filter_type: int
    filter_value: str | int | float | bool


def advanced(instance: Instance, resource: Resource, text: str) -> Iterator[Callable[[Row], bool]]:
    try:
        conditions = msgspec.json.decode(text, type=list[Condition])
    except msgspec.DecodeError:
        raise text_error("Invalid advanced search parameter") from None
    allowed = instance.config.advanced_search.get(resource.name, ())
    for condition in conditions:
        if condition.filter_name not in allowed or condition.filter_type != EXACT:
            raise text_error(f"Invalid advanced search parameter: {condition.filter_name}")
        yield equals(condition.filter_name, frozenset({condition.filter_value}))


def order(rows: list[Values], query: Query) -> None:
    """Sorts by `order` .. `order5`, each descending with its `orderdesc`; absent values come first."""
    for suffix in ("5", "4", "3", "2", ""):
        field = query.get(f"order{suffix}")
        if field:
            rows.sort(key=sort_key(field), reverse=views.is_true(query, f"orderdesc{suffix}"))


def sort_key(field: str) -> Callable[[Values], tuple[int, float, str]]:
    def key(row: Values) -> tuple[int, float, str]:
        value = row.get(field)
        if value is None:
            return (0, 0.0, "")
        if isinstance(value, bool | int | float):
            return (1, float(value), "")
        return (2, 0.0, str(value).casefold())

    return key


def typed(instance: Instance, resource: Resource, field: str, name: str, text: str) -> Any:
    kind = instance.schema.fields(resource.table).get(field, "str")
    try:
        return scalar(kind, text.strip() if kind in {"int", "num"} else text)
    except MismatchError:
        raise invalid(name, text) from None


def positive(query: Query, name: str, default: int) -> int:
    if not query.get(name):
        return default
    try:
        return max(1, int(query[name]))
    except ValueError:
        raise invalid(name, query[name]) from None


def invalid(name: str, value: str) -> RefusalError:
    return binding_error({name: [f"The value '{value}' is not valid."]})
