"""Which commands an event asks for, in which order, with which identity."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from hub.store.records import Record
from schemas.commands import TYPE_OF_KIND, Basis, Command
from schemas.envelope import from_headers
from schemas.identity import id_of, state_hash
from schemas.quotes import QuoteStatus
from schemas.registry import decode, encode
from services.mapper.emit import command_message
from services.mapper.quote import Mapped, Waiting
from tests.unit.mapper.build import (
    ALL,
    BASIS,
    cents,
    envelope,
    folded,
    line,
    map_quote,
    mapped,
    quote,
    rules,
    status,
)


def made_for(record: Record, basis: Basis) -> tuple[Command, ...]:
    made = map_quote(record, rules(), basis, ALL)
    assert isinstance(made, Mapped)
    return made.commands


@pytest.mark.feature("quote.status.reflect", part="mapper")
def test_a_status_change_asks_for_the_quote_alone_and_carries_it_whole() -> None:
    record = folded((envelope(1), quote(status="draft")), (status(2), QuoteStatus(status="sent")))
    made = mapped(record, touched=frozenset({"status"}))
    assert made.kinds == ["quote"]
    whole = mapped(record).quote
    assert made.quote == whole
    assert made.quote.lines is not UNSET
    before = mapped(quote(status="draft")).quote
    assert (made.quote.lines, made.quote.title) == (before.lines, before.title)


def test_every_command_of_a_quote_can_be_read_whatever_ids_it_embeds() -> None:
    """What no envelope takes would be nobody's command, and all that refers to it would wait for ever."""
    embedded = quote(
        customer={"name": "Contoso", "id": "c-1\n"},
        contact={"name": "Nina", "id": "n-1\n"},
        opportunity={"id": "o-1\n"},
        lines=[line(1, id="1\n", product={"id": "p-1\n"})],
    )
    made = made_for(folded((envelope(1), embedded)), BASIS)
    for command in made:
        message = command_message(command, envelope(1))
        assert from_headers(message.headers).subject == command.target.id
        assert decode(TYPE_OF_KIND[command.kind], message.value or b"") == command
    assert {command.target.id for command in made} >= {"c-1␊", "p-1␊", "o-1␊"}


def test_a_status_before_its_quote_waits() -> None:
    record = folded((status(1), QuoteStatus(status="sent")))
    assert map_quote(record, rules(), BASIS, ALL) == Waiting()


@pytest.mark.feature("quote.revision.overwrite", part="mapper")
def test_a_new_revision_rewrites_the_same_targets_and_lines_that_are_gone_are_gone() -> None:
    one = mapped(folded((envelope(1), quote(lines=[line(1), line(2)]))))
    both = folded(
        (envelope(1), quote(lines=[line(1), line(2)])),
        (envelope(2), quote(lines=[line(2)], commercial_revision=2)),
    )
    two = mapped(both)
    assert two.quote.target == one.quote.target
    assert two.opportunity.target == one.opportunity.target
    assert [found.id for found in two.lines] == ["2"]
    assert two.quote.seq > one.quote.seq


@pytest.mark.feature("hub.order", part="mapper")
@pytest.mark.feature("quote.out_of_order", part="mapper")
def test_commands_carry_the_order_of_their_entity_and_ensures_none() -> None:
    record = folded((envelope(3), quote()), (status(5), QuoteStatus(status="sent")))
    made = mapped(record)
    assert made.quote.seq == made.opportunity.seq == (5, 3, 3, 7)
    assert {command.seq for command in made.commands if command.ensure} == {()}
    assert {command.kind for command in made.commands if command.ensure} == {"client", "site", "item"}


@pytest.mark.feature("hub.rules.version", part="mapper")
def test_each_command_names_the_rules_and_the_record_that_made_it() -> None:
    for command in mapped(quote()).commands:
        assert (command.basis.rule_sequence, command.basis.rule_hash) == (7, "h")
        assert command.basis.record_versions == {"head": 1, "lines": 1}
        assert (command.basis.event_id, command.basis.origin, command.basis.subject) == (
            "e-1",
            "hub.quotes.v1",
            "Q-1",
        )


@pytest.mark.feature("hub.rules.version", part="mapper")
def test_other_rules_are_another_command_and_the_same_rules_the_same() -> None:
    record = folded((envelope(1), quote()))
    one = made_for(record, BASIS)
    two = made_for(record, msgspec.structs.replace(BASIS, rule_sequence=8))
    assert id_of(one[-1]) != id_of(two[-1])
    assert two[-1].seq > one[-1].seq
    assert [id_of(command) for command in one] == [id_of(command) for command in made_for(record, BASIS)]
    # What only ensures is the same under any rules that ask for the same.
    assert id_of(one[0]) == id_of(two[0])


def test_an_ensure_of_other_content_is_another_command() -> None:
    """Else what was refused once, and mended since, would look like the very same command."""
    one, other = (
        mapped(quote(lines=[line(product={"category": category})])).items[0]
        for category in ("Laptops", "Hubs")
    )
    assert one.target == other.target
    assert id_of(one) != id_of(other)


def test_a_redrive_makes_commands_of_its_own() -> None:
    record = folded((envelope(1), quote()))
    redriven = msgspec.structs.replace(BASIS, cause="redrive-1")
    for one, other in zip(made_for(record, BASIS), made_for(record, redriven), strict=True):
        assert id_of(one) != id_of(other)
        assert one.state_hash == other.state_hash


@pytest.mark.feature("hub.no_code", part="mapper")
def test_a_new_producer_needs_only_its_block_of_the_tenant_file() -> None:
    sections = {
        "sources": {
            "newtool": {"quotes": {"statuses": {"gewonnen": "Accepted"}}, "agents": {"default": "Desk"}}
        }
    }
    data = quote(status="gewonnen")
    newtool = mapped(data, rules("newtool", **sections)).quote
    assert newtool.status.value.name == "Accepted"
    assert newtool.agent.value.name == "Desk"
    other = mapped(data, rules("quoter", **sections)).quote
    assert other.status.value.name == "gewonnen"


def test_two_producers_and_two_instances_never_share_a_target() -> None:
    record = folded((envelope(1), quote()))
    other_source = msgspec.structs.replace(record, source="quotewerks")
    elsewhere = rules(halo={"url": "https://other.halopsa.com"})
    targets = [
        {command.target.key for command in mapped(*arguments).commands}
        for arguments in ((record,), (other_source,), (record, elsewhere))
    ]
    assert not targets[0] & targets[1]
    assert not targets[0] & targets[2]


@st.composite
def quotes(draw: st.DrawFn) -> Any:
    def maybe(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    words = st.text("abc é<&", min_size=1, max_size=8)
    lines = [
        line(
            number,
            product={
                # One without a visible name has no part number either, and is rejected.
                "name": draw(words.filter(str.strip)),
                "manufacturer_part_number": maybe(st.sampled_from(["A", "B"])),
                "category": maybe(words),
            },
            quantity=str(draw(st.integers(1, 20))),
            price=str(draw(st.decimals(0, 5000, places=2))),
            cost=maybe(st.sampled_from(["1.10", "2"])),
            tax=maybe(st.sampled_from(["0.10", "2.00"])),
            frequency=maybe(st.sampled_from(["month", "one_time"])),
            discount=maybe(st.sampled_from([{"percent": "12.50"}])),
        )
        for number in range(1, draw(st.integers(0, 4)) + 1)
    ]
    return quote(
        lines=lines,
        status=maybe(st.sampled_from(["draft", "sent"])),
        contact=maybe(st.fixed_dictionaries({"name": words})),
        currency=maybe(st.sampled_from(["GBP"])),
        note=maybe(words),
        discount=maybe(st.sampled_from([{"percent": "3.10"}])),
    )


@settings(max_examples=200, deadline=None)
@given(quotes())
def test_any_quotes_commands_survive_the_wire_with_hash_and_identity(data: Any) -> None:
    made = mapped(data, rules(billing_periods={"month": "Monthly", "one_time": None}))
    for command in made.commands:
        assert command.state_hash == state_hash(command)
        again = decode(TYPE_OF_KIND[command.kind], encode(command))
        assert again == command
        assert id_of(again) == id_of(command)
        assert state_hash(again) == command.state_hash
    total = sum(
        cents((one.quantity * one.price).quantize(Decimal("0.01"), "ROUND_HALF_UP")) for one in made.lines
    )
    assert total == cents(made.quote.totals.value.net)
    assert {one.item for one in made.lines} == {item.target for item in made.items}
