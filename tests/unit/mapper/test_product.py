"""A product by itself becomes the item that it is, where the tenant pushes products; the newest state wins."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from hub.bus.records import Record as LogRecord
from schemas.commands import Field, Named, UpsertItem
from schemas.envelope import Envelope, headers_of
from schemas.products import SourceProduct
from schemas.registry import SOURCE_TYPES, TYPES, encode
from schemas.topics import CONTROL, PRODUCTS
from services.mapper.app import SOURCES
from services.mapper.intake import Event, read
from tests.unit.halo_writer.build import by
from tests.unit.mapper.build import START, envelope, line, mapped, quote, rules
from tests.unit.mapper.test_batch import commands, results, run

PUSHED: dict[str, Any] = {"items": {"push": True}}
LAPTOP = {"name": "Laptop 14", "manufacturer_part_number": "LT-14", "price": "999.90", "cost": "700.10"}


def product(number: int, **changes: Any) -> Event:
    about = envelope(number, "product.upserted.v1", subject="prod-1")
    data = msgspec.convert(LAPTOP | changes, SourceProduct, strict=False)
    found = read(LogRecord(PRODUCTS, 0, number, 0, about.key, encode(data), headers_of(about)), START)
    assert isinstance(found, Event)
    return found


def items(*events: Event, **sections: Any) -> list[UpsertItem]:
    made = run(*events, rule_set=rules(**(PUSHED | sections)))
    return [command for _, command in commands(made.outgoing)]


@pytest.mark.feature("item.push", part="mapper")
def test_off_by_default_and_then_nothing_is_asked_of_halo() -> None:
    made = run(product(1))
    assert results(made) == ["switched_off"]
    assert commands(made.outgoing) == []


@pytest.mark.feature("item.push", part="mapper")
def test_a_pushed_product_is_the_item_that_its_lines_sell_and_may_update_it() -> None:
    (item,) = items(product(1, halo_id=900))
    assert not item.ensure
    assert item.seq != ()
    assert item.match == by(halo_id=900, sku="LT-14", name="Laptop 14")
    sold = mapped(quote(lines=[line(product={"name": "Other words", "id": "prod-1"})]))
    assert item.target == sold.items[0].target == sold.lines[0].item
    assert (item.name, item.price) == (Field(value="Laptop 14"), Field(value=Decimal("999.9")))
    assert (item.cost, item.part_number) == (Field(value=Decimal("700.1")), Field(value="LT-14"))


@pytest.mark.feature("item.push", part="mapper")
def test_what_the_source_does_not_say_is_for_a_new_item_only() -> None:
    with_accounts = {"items": {"push": True, "accounts": {"Hardware": {"income": "4000"}}}}
    (item,) = items(
        product(1, manufacturer_part_number=None, price=None, cost=None, item_type="labour"), **with_accounts
    )
    assert (item.price, item.cost, item.description, item.billing_period) == (UNSET,) * 4
    late = (item.group, item.accounts, item.recurring, item.part_number, item.stocked)
    assert [field.write for field in late if field is not UNSET] == ["on_create"] * 5


@pytest.mark.feature("item.push", part="mapper")
def test_what_the_source_says_of_how_often_it_recurs_is_kept_up_to_date() -> None:
    periods = {"billing_periods": {"month": "Monthly", "once": None}}
    (monthly,) = items(product(1, frequency="month"), **periods)
    (once,) = items(product(1, frequency="once"), **periods)
    named = Named(lookup="billing_period", name="Monthly", setting="billing_periods")
    assert (monthly.recurring, monthly.billing_period) == (Field(value=True), Field(value=named))
    assert (once.recurring, once.billing_period) == (Field(value=False), UNSET)


@pytest.mark.feature("item.push", part="mapper")
def test_changes_fold_to_the_newest_whatever_their_order() -> None:
    made = items(product(2, price="2"), product(1, price="1"), product(3, price="3"))
    assert [item.price for item in made] == [Field(value=Decimal(price)) for price in (2, 2, 3)]
    assert made[0].seq == made[1].seq < made[2].seq
    # The same product again is the same command.
    first, again = items(product(1), product(1))
    assert first == again


@pytest.mark.feature("item.push", part="mapper")
def test_one_producers_products_may_be_pushed_and_anothers_not() -> None:
    on = rules(sources={"quoter": {"items": {"push": True}}})
    off = rules(items={"push": True}, sources={"quoter": {"items": {"push": False}}})
    assert results(run(product(1), rule_set=on)) == ["mapped"]
    assert results(run(product(1), rule_set=off)) == ["switched_off"]


@pytest.mark.feature("item.push", part="mapper")
def test_the_mapper_reads_every_topic_that_source_events_are_published_on_and_that_of_answers() -> None:
    assert set(SOURCES) == {TYPES[name].topic for name in SOURCE_TYPES} | {CONTROL}


def test_a_product_without_a_name_is_refused_with_its_fault() -> None:
    about: Envelope = envelope(1, "product.upserted.v1", subject="prod-1")
    refused = read(LogRecord(PRODUCTS, 0, 1, 0, about.key, b'{"price": "much"}', headers_of(about)), START)
    assert getattr(refused, "reason", None) == "data.invalid"
