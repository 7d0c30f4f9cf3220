"""The contract holds: what an older release wrote is read today, and what is published says so in its documents.

`schemas/golden/` keeps two messages of each version: one with every field, one with none but the required. A field
that is renamed, removed, retyped or newly required fails here; a new message or optional field needs a new golden.
"""

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from msgspec import inspect

from schemas import documents
from schemas.base import MAX_LINES
from schemas.envelope import from_headers, from_structured, headers_of, to_structured
from schemas.faults import MAX_DEPTH, DataInvalid, decode_source, depth
from schemas.registry import SOURCE_TYPES, TYPES, decode, encode

FULL = sorted(path.name.removesuffix(".json") for path in documents.GOLDEN.glob("*.v?.json"))
FILES = sorted(path.name for path in documents.GOLDEN.glob("*.json"))
OPEN_MAPS = {"children", "groups", "record_versions", "custom"}


def golden(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((documents.GOLDEN / name).read_text())
    return content


@pytest.mark.feature("hub.contract", part="mapper")
def test_each_version_of_each_message_has_its_goldens() -> None:
    wanted = {f"{name}{form}.json" for name in TYPES for form in ("", ".minimal")}
    assert set(FILES) == wanted, (
        "a version without a golden, or a golden whose version nobody can read any more"
    )


@pytest.mark.feature("hub.contract", part="mapper")
@pytest.mark.feature("hub.contract", part="ingest")
@pytest.mark.parametrize("name", FILES)
def test_a_golden_message_decodes_and_encodes_to_itself(name: str) -> None:
    message = golden(name)
    decoded = decode(message["type"], json.dumps(message["data"]).encode())
    assert json.loads(encode(decoded)) == message["data"]
    envelope = from_structured(message)
    assert from_headers(headers_of(envelope)) == envelope
    assert to_structured(envelope, message["data"]) == message


@pytest.mark.parametrize("name", FILES)
def test_a_golden_message_fits_todays_published_schema(name: str) -> None:
    message = golden(name)
    schema = json.loads((documents.GENERATED / f"{message['type']}.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(message["data"])


@pytest.mark.parametrize("name", FULL)
def test_the_full_golden_holds_every_field(name: str) -> None:
    """Else a field could be renamed without any golden noticing."""
    data = golden(f"{name}.json")["data"]
    missing = sorted(set(_absent(inspect.type_info(TYPES[name].data), data, "")))
    # A discount has one form or the other, and an opportunity that is named isn't a new one.
    assert [path for path in missing if not path.endswith(("discount.amount", "opportunity.new"))] == []


@pytest.mark.parametrize("name", [name for name in FULL if name in SOURCE_TYPES])
def test_a_source_event_may_carry_more_than_is_read(name: str) -> None:
    data = golden(f"{name}.json")["data"]
    more = copy.deepcopy(data)
    for table in list(_objects(more)):
        table["something_new"] = {"deep": [1]}
    assert decode(name, json.dumps(more).encode()) == decode(name, json.dumps(data).encode())


@pytest.mark.parametrize("name", [name for name in FULL if name not in SOURCE_TYPES])
def test_what_the_hub_writes_is_refused_when_it_carries_more_than_is_known(name: str) -> None:
    data = golden(f"{name}.json")["data"]
    tried = 0
    for number in range(sum(1 for _ in _objects(data))):
        more = copy.deepcopy(data)
        list(_objects(more))[number]["something_new"] = 1
        with pytest.raises(msgspec.ValidationError, match="something_new"):
            decode(name, json.dumps(more).encode())
        tried += 1
    assert tried


def test_the_generated_documents_are_in_step_with_the_structs() -> None:
    on_disk = {path.name: path.read_text() for path in documents.GENERATED.glob("*.json")}
    assert on_disk == documents.files(), "run `python -m schemas.documents`"


def test_the_asyncapi_document_refers_only_to_what_is_there() -> None:
    document = documents.asyncapi()
    assert document["asyncapi"].startswith("3.")
    for channel in document["channels"].values():
        for reference in channel["messages"].values():
            name = reference["$ref"].rpartition("/")[2]
            payload = document["components"]["messages"][name]["payload"]["$ref"]
            assert (documents.GENERATED / payload).is_file()


@pytest.mark.feature("hub.contract", part="mapper")
def test_all_faults_of_an_event_are_told_at_once() -> None:
    value = b"""{"title": "", "customer": {"name": 5}, "date": "soon", "lines": [
        {"id": "1", "product": {}, "quantity": "many", "price": 1},
        {"id": "2", "product": {"name": "x"}, "quantity": 1, "price": 1, "discount": {"percent": 5, "amount": 1}}
    ]}"""
    with pytest.raises(DataInvalid) as caught:
        decode_source("quote.published.v1", value)
    assert caught.value.reason == "data.invalid"
    at = {fault.at for fault in caught.value.faults}
    assert {"title", "customer.name", "lines[0].quantity", "lines[0].product"} <= at
    assert len(caught.value.faults) >= 4


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"discount": {"percent": 5, "amount": 1}}, "exactly one"),
        ({"discount": {"percent": 101}}, "between 0 and 100"),
        ({"quantity": "1.1234567"}, "decimal places"),
        ({"price": "1e30"}, "digits"),
        ({"price": "NaN"}, "finite"),
    ],
)
def test_what_no_schema_can_say_is_refused_with_its_place(line: dict[str, Any], told: str) -> None:
    base = {"id": "1", "product": {"name": "x"}, "quantity": 1, "price": 1}
    value = json.dumps({"title": "t", "customer": {"name": "c"}, "lines": [base | line]}).encode()
    with pytest.raises(DataInvalid) as caught:
        decode_source("quote.published.v1", value)
    assert any(
        told in fault.problem and fault.at.startswith("lines[0]") for fault in caught.value.faults
    ) or (
        # The amount's text itself is what the schema refuses.
        any(fault.at.startswith("lines[0].") for fault in caught.value.faults)
    )


@pytest.mark.feature("hub.contract", part="mapper")
def test_faults_in_far_lines_are_told_at_their_own_places() -> None:
    line = {"product": {"name": "x"}, "quantity": 1, "price": 1}
    lines = [{"id": str(number), **line} for number in range(MAX_LINES)]
    lines[700] |= {"price": "much"}
    lines[1999] |= {"quantity": None, "id": "3"}
    document = {"title": "t", "customer": {"name": "c"}, "lines": lines, "taxes": [{"name": "x"}]}
    with pytest.raises(DataInvalid) as refused:
        decode_source("quote.published.v1", json.dumps(document).encode())
    assert {fault.at for fault in refused.value.faults} == {
        "lines[700].price",
        "lines[1999].quantity",
        "lines[1999].id",
        "taxes[0]",
    }


_LINE = {"id": "1", "product": {"name": "x"}, "quantity": 1, "price": 1}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("more", "reason", "at"),
    [
        ({"lines": [_LINE] * 10_000}, "data.too_large", "lines"),
        ({"lines": [0] * 500_000}, "data.too_large", "lines"),
        ({"lines": [{}] * MAX_LINES}, "data.invalid", "lines[0]"),
        ({"lines": [_LINE | {"price": "x" * 1_000}] * MAX_LINES}, "data.invalid", ""),
        ({"custom": {str(number): "x" for number in range(100_000)}, "title": 1}, "data.invalid", ""),
        ({"lines": [_LINE | {"id": 1, "custom": [0] * 300_000}]}, "data.invalid", ""),
    ],
    ids=["lines", "numbers", "empty lines", "long lines", "custom fields", "one long line"],
)
def test_no_content_makes_telling_the_faults_slow(more: dict[str, Any], reason: str, at: str) -> None:
    """Whoever stands behind a faulty event in the log waits while its faults are looked for."""
    value = json.dumps({"title": "t", "customer": {"name": "c"}, "lines": []} | more).encode()
    started = time.process_time()
    with pytest.raises(DataInvalid) as refused:
        decode_source("quote.published.v1", value)
    assert time.process_time() - started < 1.0
    assert refused.value.reason == reason
    assert at in {fault.at for fault in refused.value.faults}


@pytest.mark.parametrize("bundle", ["1", "2", "9"], ids=["a part of another", "itself", "nothing"])
def test_a_bundle_is_headed_by_a_line_that_is_in_none(bundle: str) -> None:
    line = {"product": {"name": "x"}, "quantity": 1, "price": 1}
    lines = [line | {"id": "1", "bundle": "3"}, line | {"id": "2", "bundle": bundle}, line | {"id": "3"}]
    document = {"title": "t", "customer": {"name": "c"}, "lines": lines}
    with pytest.raises(DataInvalid) as refused:
        decode_source("quote.published.v1", json.dumps(document).encode())
    assert [fault.at for fault in refused.value.faults] == ["lines[1].bundle"]
    with pytest.raises(msgspec.ValidationError, match="line '2'"):
        decode("quote.published.v1", json.dumps(document).encode())
    lines[1]["bundle"] = "3"
    decode("quote.published.v1", json.dumps(document).encode())


def test_two_lines_of_one_id_are_refused() -> None:
    line = {"id": "1", "product": {"name": "x"}, "quantity": 1, "price": 1}
    value = json.dumps({"title": "t", "customer": {"name": "c"}, "lines": [line, line]}).encode()
    with pytest.raises(DataInvalid, match="another line has the id"):
        decode_source("quote.published.v1", value)


@pytest.mark.parametrize(
    ("event_type", "value", "reason"),
    [
        ("quote.published.v1", b"{", "data.not_json"),
        ("quote.published.v1", b"\xff\xfe", "data.not_json"),
        ("quote.published.v1", b"[]", "data.invalid"),
        ("quote.published.v9", b"{}", "type.unknown"),
        ("upsert_quote.v1", b"{}", "type.unknown"),
    ],
)
def test_each_kind_of_unreadable_event_has_its_reason(event_type: str, value: bytes, reason: str) -> None:
    with pytest.raises(DataInvalid) as caught:
        decode_source(event_type, value)
    assert caught.value.reason == reason


def test_brackets_in_text_are_not_depth() -> None:
    assert depth(json.dumps({"a": "[[[[{{{{" * 20}).encode()) == 1
    assert depth(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)) == MAX_DEPTH + 1
    assert depth(json.dumps({'a"[[': ["\\", {"b": '\\"{{{'}]}).encode()) == 3


@pytest.mark.timeout(60)
def test_no_content_makes_counting_depth_slow() -> None:
    assert depth(b"[" * 30 + b'"' + b'\\"' * 500_000) == 30
    assert depth(b'"\\' * 500_000) <= 1
    assert depth(b'["' * 300_000) <= 300_000


def _objects(data: Any, name: str = "") -> Iterator[dict[str, Any]]:
    """Every object of a message that stands for a Struct."""
    if isinstance(data, dict):
        if name not in OPEN_MAPS:
            yield data
        for key, value in list(data.items()):
            yield from _objects(value, key)
    elif isinstance(data, list):
        for item in data:
            yield from _objects(item, name)


def _absent(kind: inspect.Type, data: Any, path: str) -> Iterator[str]:
    """The fields that the message's types have and `data` doesn't."""
    if isinstance(kind, inspect.Metadata):
        yield from _absent(kind.type, data, path)
    elif isinstance(kind, inspect.UnionType):
        for part in kind.types:
            if isinstance(part, inspect.StructType):
                yield from _absent(part, data, path)
    elif isinstance(kind, inspect.VarTupleType):
        # What no item can hold together with all the rest, another may.
        absent = [set(_absent(kind.item_type, item, path)) for item in data]
        yield from set.intersection(*absent) if absent else ()
    elif isinstance(kind, inspect.StructType):
        for field in kind.fields:
            inner = f"{path}.{field.name}"
            if field.encode_name in data:
                yield from _absent(field.type, data[field.encode_name], inner)
            else:
                yield inner


def test_the_golden_directory_holds_nothing_else() -> None:
    assert {path.suffix for path in Path(documents.GOLDEN).iterdir()} == {".json"}


@pytest.mark.feature("hub.contract", part="mapper")
def test_rules_that_a_schema_cannot_say_are_told_with_the_others() -> None:
    line = {"id": "1", "product": {"name": "n"}, "quantity": 1, "price": 1}
    document = {
        "title": "",
        "customer": {"name": "c"},
        "discount": {"percent": 1, "amount": 1},
        "lines": [line, line | {"discount": {"percent": 101}}],
    }
    with pytest.raises(DataInvalid) as refused:
        decode_source("quote.published.v1", json.dumps(document).encode())
    assert [fault.at for fault in refused.value.faults] == [
        "discount",
        "lines[1].discount.percent",
        "lines[1].id",
        "title",
    ]


@pytest.mark.feature("beyond.catalog", part="docs")
@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_field_of_a_type_is_described(name: str) -> None:
    definitions = documents.json_schema(name)["$defs"]
    bare = [key for key, body in definitions.items() if not body.get("description")]
    bare += [
        f"{key}.{field}"
        for key, body in definitions.items()
        for field, schema in body["properties"].items()
        if not schema.get("description")
    ]
    assert bare == [], "write what it means below it, in the Struct"
