"""When a quote is won, and what that makes of its opportunity, its PO number and its sales order."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from hub.tenants.model import RuleSet
from schemas.commands import CompleteOpportunity, CreateSalesOrder, Field, GroupIncome, Named
from schemas.envelope import Envelope
from schemas.quotes import Answers, QuoteConversion, QuoteStatus
from services.mapper.parts import GroupName
from services.mapper.questions import as_notice
from services.mapper.quote import Mapped, NothingToWrite
from tests.unit.mapper.build import ALL, BASIS, envelope, folded, map_quote, mapped, quote, rules, status
from tests.unit.mapper.test_revisions import Sent, told

DRAFT: Sent = (envelope(1), quote(status="draft"))
ORDERED = QuoteConversion(to="order")
INVOICED = QuoteConversion(to="invoice")
CONVERT = {"when": "order", "if_exists": "convert"}


def converted(number: int, **attributes: Any) -> Envelope:
    return envelope(number, "quote.converted.v1", **attributes)


def won_rules(won: dict[str, Any] | None = None, **sections: Any) -> RuleSet:
    opportunities = {"won": CONVERT if won is None else won, **sections.pop("opportunities", {})}
    return rules(opportunities=opportunities, **sections)


def made_of(with_rules: RuleSet, *events: Sent) -> Mapped:
    made = map_quote(folded(*events), with_rules, BASIS, ALL)
    assert isinstance(made, Mapped)
    return made


def step_of(made: Mapped) -> CompleteOpportunity | None:
    found = [command for command in made.commands if isinstance(command, CompleteOpportunity)]
    assert len(found) <= 1
    return found[0] if found else None


def orders_of(made: Mapped) -> list[CreateSalesOrder]:
    return [command for command in made.commands if isinstance(command, CreateSalesOrder)]


def completes(with_rules: RuleSet, *events: Sent) -> bool:
    step = step_of(made_of(with_rules, *events))
    return step is not None and step.status is not UNSET


# What counts as won


@pytest.mark.feature("won.detect", part="mapper")
@pytest.mark.parametrize("word", ["accepted", "APPROVED", " ordered ", "fulfilled"])
def test_four_statuses_win_a_quote_by_default(word: str) -> None:
    with_orders = rules(quotes={"sales_order": True})
    assert orders_of(made_of(with_orders, (envelope(1), quote(status=word))))
    assert not orders_of(made_of(with_orders, (envelope(1), quote(status="declined"))))


def test_a_charge_for_delivery_that_is_no_line_is_told_of_the_order() -> None:
    charged = (envelope(1), quote(status="accepted", shipping=Decimal("12.50")))
    (order,) = orders_of(made_of(rules(quotes={"sales_order": True}), charged))
    assert [notice.code for notice in order.notices] == ["delivery.left_out"]
    assert "12.5" in order.notices[0].message
    as_line = rules(quotes={"sales_order": True}, items={"shipping": "Freight"})
    (order,) = orders_of(made_of(as_line, charged))
    assert order.notices == ()
    assert getattr(order.lines.value.lines[-1].halo_item, "name", None) == "Freight"


@pytest.mark.feature("won.detect", part="mapper")
def test_a_tenant_says_which_statuses_win() -> None:
    with_rules = rules(quotes={"sales_order": True, "won": ["Signed"]})
    assert orders_of(made_of(with_rules, (envelope(1), quote(status="signed"))))
    assert not orders_of(made_of(with_rules, (envelope(1), quote(status="accepted"))))


@pytest.mark.feature("won.detect", part="mapper")
def test_accepted_then_ordered_then_fulfilled_is_won_once() -> None:
    """The steps of all three are the very same commands, and the writer does what has settled no second time."""
    with_rules = rules(quotes={"sales_order": True, "po_number": "po_number"})
    later = [
        (status(n), QuoteStatus(status=word))
        for n, word in ((2, "accepted"), (3, "ordered"), (4, "fulfilled"))
    ]
    link = {"halo_id": 7}
    story = told(with_rules, (envelope(1), quote(po_number="PO-1", opportunity=link)), *later)
    steps = [command for _, made in story for command in made if command.kind in ("won", "sales_order")]
    assert len({(step.kind, step.target.key, step.state_hash) for step in steps}) == 2
    assert len(steps) == 6


@pytest.mark.feature("won.detect", part="mapper")
def test_the_order_of_arrival_makes_no_difference_to_what_is_won() -> None:
    history: list[Sent] = [DRAFT, (status(2), QuoteStatus(status="sent")), (converted(3), ORDERED)]
    history.append((converted(4), INVOICED))
    states = set()
    for order in itertools.permutations(history):
        made = made_of(won_rules(quotes={"sales_order": True}), *order)
        states.add(tuple((one.target.key, one.seq, one.state_hash) for one in made.commands))
    assert len(states) == 1


# Completing the opportunity


@pytest.mark.feature("won.opp.order", part="mapper")
def test_a_conversion_to_an_order_completes_the_opportunity_as_won() -> None:
    made = made_of(won_rules(), DRAFT, (converted(2), ORDERED))
    step = step_of(made)
    assert step is not None
    assert step.opportunity == Field(value=mapped(quote()).opportunity.target)
    named = Named(lookup="status", name="Won", setting="opportunities.statuses")
    assert step.status == Field(value=named)
    assert [one.kind for one in made.commands][-2:] == ["quote", "won"]
    assert not completes(won_rules(), DRAFT)


@pytest.mark.feature("won.opp.order", part="mapper")
def test_a_later_conversion_to_an_invoice_does_nothing_more() -> None:
    ordered: list[Sent] = [DRAFT, (converted(2), ORDERED)]
    first, second = (
        step_of(made_of(won_rules(), *events)) for events in (ordered, [*ordered, (converted(3), INVOICED)])
    )
    assert first is not None
    assert second is not None
    assert (first.target, first.state_hash) == (second.target, second.state_hash)


@pytest.mark.feature("won.opp.order", part="mapper")
def test_the_tenants_word_for_won_is_halos_status() -> None:
    with_rules = won_rules(opportunities={"statuses": {"won": "Closed won"}})
    step = step_of(made_of(with_rules, DRAFT, (converted(2), ORDERED)))
    assert step is not None
    assert (step.status.value.name, step.status.value.chosen) == ("Closed won", True)


@pytest.mark.feature("won.opp.invoice", part="mapper")
def test_with_when_invoice_only_a_conversion_to_an_invoice_completes() -> None:
    with_rules = won_rules({"when": "invoice", "if_exists": "convert"})
    assert not completes(with_rules, DRAFT, (converted(2), ORDERED))
    assert completes(with_rules, DRAFT, (converted(2), ORDERED), (converted(3), INVOICED))
    assert completes(with_rules, DRAFT, (converted(2), INVOICED))


@pytest.mark.feature("won.opp.never", part="mapper")
@pytest.mark.parametrize("conversion", [ORDERED, INVOICED])
def test_with_when_never_the_hub_never_completes_and_asks_nothing(conversion: QuoteConversion) -> None:
    with_rules = won_rules({"when": "never"}, quotes={"sales_order": True})
    made = made_of(with_rules, DRAFT, (converted(2), conversion))
    assert step_of(made) is None
    assert made.questions == ()
    assert orders_of(made), "it is won all the same; people complete the opportunity"


def test_a_redriven_conversion_brings_all_that_its_steps_rely_on() -> None:
    """The opportunity to complete may be what is missing in Halo."""
    record, touched = folded(DRAFT, (converted(2), ORDERED)), frozenset[GroupName](("conversion",))
    once = map_quote(record, rules(), BASIS, touched)
    again = map_quote(record, rules(), replace(BASIS, cause="redrive-1"), touched)
    assert isinstance(once, Mapped)
    assert isinstance(again, Mapped)
    assert "opportunity" not in {one.kind for one in once.commands}
    assert {"client", "opportunity", "quote", "won"} <= {one.kind for one in again.commands}


def test_a_status_that_wins_completes_no_opportunity() -> None:
    assert not completes(won_rules(), (envelope(1), quote(status="accepted")))


def test_a_quote_that_is_moved_to_another_opportunity_completes_that_one() -> None:
    events: list[Sent] = [(converted(2), ORDERED)]
    own = step_of(made_of(won_rules(), DRAFT, *events))
    picked = step_of(made_of(won_rules(), (envelope(1), quote(opportunity={"halo_id": 9})), *events))
    published = step_of(made_of(won_rules(), (envelope(1), quote(opportunity={"id": "O-1"})), *events))
    targets = {step.target.key for step in (own, picked, published) if step is not None}
    assert len(targets) == 3


# What must be asked


@pytest.mark.feature("won.opp.exists", part="mapper")
def test_by_default_it_is_asked_whether_an_opportunity_is_completed_and_nothing_else_waits() -> None:
    with_rules = rules(quotes={"sales_order": True})
    made = made_of(with_rules, DRAFT, (converted(2), ORDERED))
    (question,) = made.questions
    assert (question.id, question.choices) == ("won.opp.exists", ("convert", "leave"))
    assert question.target == mapped(quote()).quote.target
    step = step_of(made)
    assert step is not None
    assert step.status is UNSET, "this step alone is left out"
    assert as_notice(question) in step.notices
    assert {"client", "opportunity", "quote", "sales_order"} <= {one.kind for one in made.commands}


@pytest.mark.feature("won.opp.exists", part="mapper")
@pytest.mark.parametrize("setting", ["ask", "convert"])
@pytest.mark.parametrize(("answer", "expected"), [("convert", True), ("leave", False)])
def test_the_answer_that_the_event_brings_is_taken(setting: str, answer: Any, expected: bool) -> None:
    conversion = QuoteConversion(to="order", answers=Answers(opportunity_exists=answer))
    with_rules = won_rules({"if_exists": setting})
    made = made_of(with_rules, DRAFT, (converted(2), conversion))
    assert made.questions == ()
    assert completes(with_rules, DRAFT, (converted(2), conversion)) == expected


@pytest.mark.feature("won.opp.exists", part="mapper")
def test_a_later_conversion_without_an_answer_takes_none_back() -> None:
    answered = QuoteConversion(to="order", answers=Answers(opportunity_exists="convert"))
    assert completes(rules(), DRAFT, (converted(2), answered), (converted(3), INVOICED))
    assert completes(rules(), DRAFT, (converted(3), INVOICED), (converted(2), answered))


MISSING = {"push": "won", "sales_order": True}


@pytest.mark.feature("won.opp.missing", part="mapper")
def test_without_an_opportunity_the_default_makes_none_and_writes_nothing() -> None:
    record = folded(DRAFT, (converted(2), ORDERED))
    assert map_quote(record, rules(quotes=MISSING), BASIS, ALL) == NothingToWrite("no_opportunity")


@pytest.mark.feature("won.opp.missing", part="mapper")
def test_with_create_the_opportunity_is_made_and_won_with_all_the_rest() -> None:
    made = made_of(won_rules({"if_none": "create"}, quotes=MISSING), DRAFT, (converted(2), ORDERED))
    step = step_of(made)
    assert step is not None
    assert step.status is not UNSET
    kinds = [one.kind for one in made.commands]
    assert kinds == ["client", "site", "item", "opportunity", "quote", "won", "sales_order"]


@pytest.mark.feature("won.opp.missing", part="mapper")
def test_with_ask_it_is_asked_and_the_events_own_answer_spares_the_question() -> None:
    with_rules = won_rules({"if_none": "ask"}, quotes=MISSING)
    asked = map_quote(folded(DRAFT, (converted(2), ORDERED)), with_rules, BASIS, ALL)
    assert isinstance(asked, NothingToWrite)
    assert asked.why == "unanswered"
    (question,) = asked.questions
    assert (question.id, question.choices) == ("won.opp.missing", ("create", "skip"))
    for answer, kinds in (("create", 7), ("skip", 0)):
        said = QuoteConversion(to="order", answers=Answers(opportunity_missing=answer))  # type: ignore[arg-type]
        made = map_quote(folded(DRAFT, (converted(2), said)), with_rules, BASIS, ALL)
        assert (len(made.commands) if isinstance(made, Mapped) else 0) == kinds


@pytest.mark.feature("won.opp.missing", part="mapper")
@pytest.mark.parametrize(
    "event", [(envelope(1), quote(opportunity={"halo_id": 9})), (envelope(1), quote(status="accepted"))]
)
def test_an_opportunity_that_is_named_or_was_written_already_is_not_missing(event: Sent) -> None:
    with_rules = won_rules({"if_none": "skip", "if_exists": "convert"}, quotes=MISSING)
    assert completes(with_rules, event, (converted(2), ORDERED))


# The customer's PO number


@pytest.mark.feature("won.po", part="mapper")
@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        ("custom.customer_po", {"custom": {"customer_po": "PO-1"}}, "PO-1"),
        ("po_number", {"po_number": " PO-2 "}, "PO-2"),
        ("number", {"number": "1001"}, "1001"),
        ("custom.customer_po", {"custom": {"customer_po": "  "}}, None),
        ("custom.customer_po", {}, None),
        ("po_number", {"po_number": ""}, None),
    ],
)
def test_the_number_comes_from_the_field_that_the_tenant_names_and_is_never_emptied(
    path: str, data: dict[str, Any], expected: str | None
) -> None:
    with_rules = rules(quotes={"po_number": path, "sales_order": True})
    made = made_of(with_rules, (envelope(1), quote(status="accepted", **data)))
    (order,) = orders_of(made)
    found = [one.po_number for one in (order, mapped(quote(**data), with_rules).opportunity)]
    assert found == ([UNSET, UNSET] if expected is None else [Field(value=expected)] * 2)


def test_without_the_setting_no_number_is_written() -> None:
    made = mapped(quote(po_number="PO-1"))
    assert (made.opportunity.po_number, made.quote.po_number) == (UNSET, UNSET)


@pytest.mark.feature("extra.po_early", part="mapper")
def test_the_number_is_written_as_soon_as_the_quote_has_it() -> None:
    made = mapped(quote(status="draft", po_number="PO-1"), rules(quotes={"po_number": "po_number"}))
    assert made.opportunity.po_number == Field(value="PO-1")
    assert made.quote.po_number == Field(value="PO-1")


@pytest.mark.feature("won.po", part="mapper")
def test_on_an_opportunity_that_isnt_the_quotes_own_the_number_comes_when_it_is_won() -> None:
    with_rules = rules(quotes={"po_number": "po_number"})
    data = {"po_number": "PO-1", "opportunity": {"halo_id": 9}}
    before = made_of(with_rules, (envelope(1), quote(**data)))
    assert step_of(before) is None
    step = step_of(made_of(with_rules, (envelope(1), quote(status="accepted", **data))))
    assert step is not None
    assert (step.po_number, step.status) == (Field(value="PO-1"), UNSET)


# The sales order


@pytest.mark.feature("won.sales_order", part="mapper")
def test_a_won_quote_has_one_order_of_its_own_under_its_quote_and_opportunity() -> None:
    with_rules = rules(quotes={"sales_order": True})
    made = made_of(with_rules, (envelope(1), quote(status="accepted")))
    (order,) = orders_of(made)
    assert (order.target.id, order.target.scope, order.ensure) == ("Q-1", "order", True)
    quoted = mapped(quote(status="accepted"), with_rules).quote
    assert order.quote == Field(value=quoted.target)
    assert order.opportunity == quoted.opportunity
    assert order.lines.value.lines == quoted.lines.value
    assert not orders_of(made_of(rules(), (envelope(1), quote(status="accepted"))))


@pytest.mark.feature("won.sales_order", part="mapper")
@pytest.mark.parametrize("mode", ["overwrite", "first_only", "new"])
def test_the_order_is_the_same_target_whatever_changes_later(mode: str) -> None:
    with_rules = rules(quotes={"sales_order": True, "revisions": mode})
    later: list[Sent] = [(envelope(2), quote(title="More")), (status(3), QuoteStatus(status="ordered"))]
    history: list[Sent] = [(envelope(1), quote(status="accepted")), *later, (converted(4), ORDERED)]
    story = told(with_rules, *history)
    orders = [one for _, made in story for one in made if isinstance(one, CreateSalesOrder)]
    assert len(orders) == 4
    assert len({one.target.key for one in orders}) == 1
    assert all(one.seq == () for one in orders)


@pytest.mark.feature("account.flow", part="mapper")
def test_the_income_accounts_of_the_groups_travel_with_the_order() -> None:
    accounts = {"Hardware": {"income": "4000", "expense": "5000"}, "Services": {"expense": "5100"}}
    with_rules = rules(quotes={"sales_order": True}, items={"accounts": accounts})
    (order,) = orders_of(made_of(with_rules, (envelope(1), quote(status="accepted"))))
    named = Named(lookup="asset_group", name="Hardware", missing="ignore")
    # A group without an income account is left out: nothing is sent for it, and Halo's own stays in force.
    assert order.lines.value.accounts == (GroupIncome(group=named, account="4000"),)
