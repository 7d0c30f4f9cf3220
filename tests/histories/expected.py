"""What a person would find in a tenant's Halo after a case: its waves told over, one record at a time. Pure.

Halo here is a few dictionaries. In each wave the newest word on each record counts, in the order in which records need
each other; what can't be written as a whole is left as it is, and tried again with the next wave if it only waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tests.histories import amounts, person
from tests.histories.draw import Case, Event
from tests.histories.ground import ACCEPTED, FIRST_STATUS, KNOWN_CLIENTS, NEW_STATUS, OPPORTUNITY_STATUSES
from tests.histories.person import Book, Held, Json, State

SUMMARY = "summary"


@dataclass
class HaloQuote:
    """`head` is the state that its head and lines show; `order` whether Halo itself made an order of it."""

    head: State
    status: int
    po_number: str | None
    at_client: bool
    order: bool = False


@dataclass
class Opportunity:
    """`shows` is the state that its value and products are of; `writers` are the quotes that could write those."""

    titles: set[str] = field(default_factory=set)
    shows: State | None = None
    writers: set[str] = field(default_factory=set)
    value: Decimal | None = None
    status: int | None = None
    completed_by: set[str] = field(default_factory=set)
    perhaps_by: set[str] = field(default_factory=set)
    """Quotes that were to complete it and, before anything was done, no longer."""
    po_numbers: set[str | None] = field(default_factory=lambda: {None})


@dataclass
class Expected:
    """A tenant's Halo as it should be, but for what it had from the start.

    `leads` are companies, and whether there surely is one of each. `waiting` and `rejected` are quotes whose newest
    state Halo doesn't have; `held` those of which nothing is to be written now, `asked` those with an open
    question.
    """

    quotes: dict[tuple[str, str], HaloQuote] = field(default_factory=dict)
    opportunities: dict[str, Opportunity] = field(default_factory=dict)
    orders: dict[str, State] = field(default_factory=dict)
    clients: set[str] = field(default_factory=set)
    leads: dict[str, bool] = field(default_factory=dict)
    items: set[str] = field(default_factory=set)
    held: dict[str, Held] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)

    def halo_orders(self, quote: str) -> int:
        return sum(one.order for (of, _), one in self.quotes.items() if of == quote)


def expected(case: Case) -> Expected:
    story = _Story(case)
    for wave in case.waves:
        story.wave([sending.event for sending in case.sendings if sending.wave == wave])
    return story.halo


class _Story:
    def __init__(self, case: Case) -> None:
        self.rules = case.setting
        self.halo = Expected()
        self.books: dict[str, Book] = {}
        self.published = 0
        self.reached: set[tuple[str, str]] = set()
        """Which quotes are under which opportunities by now."""
        self.named: set[tuple[str, str]] = set()
        # What was asked for and could not be written yet, the newest word of each.
        self.quotes: dict[tuple[str, str], State] = {}
        self.opportunities: dict[tuple[str, str], State] = {}
        self.steps: dict[tuple[str, str], list[State]] = {}
        self.orders: dict[str, State] = {}

    def wave(self, events: list[Event]) -> None:
        states, before = [], set(self.halo.clients)
        for event in events:
            if event.kind == "opportunity":
                self._published(event)
                continue
            book = self.books.setdefault(event.subject, Book(self.rules, event.subject))
            book.read(event)
            state = book.state()
            (self.halo.asked.add if book.asks else self.halo.asked.discard)(event.subject)
            if isinstance(state, State):
                states.append(state)
                self.halo.held.pop(event.subject, None)
            else:
                self.halo.held[event.subject] = state
        self._companies(states, before)
        self._items(states)
        for state in states:
            self.quotes[state.quote, state.scope] = state
            self.opportunities[state.quote, state.opportunity] = state
            self.named.add((state.quote, state.opportunity))
            self.steps.setdefault((state.quote, state.opportunity), []).append(state)
            if state.won and self.rules.quotes["sales_order"]:
                self.orders[state.quote] = state
        self._write_opportunities(states)
        self._write_quotes(states)
        self._complete()
        self._order()

    # Surroundings -------------------------------------------------------------------------------------------

    def _companies(self, states: list[State], before: set[str]) -> None:
        known = {client.name for client in KNOWN_CLIENTS}
        self.halo.clients |= {
            one.company for one in states if (one.won or not self.rules.leads) and one.company not in known
        }
        for state in states:
            company = state.company
            if state.won or not self.rules.leads or company in known | before:
                continue
            # Whether a lead is made in the very wave that makes the client is a matter of what comes first.
            certain = company not in self.halo.clients
            self.halo.leads[company] = certain or self.halo.leads.get(company, False)

    def _items(self, states: list[State]) -> None:
        for state in states:
            for line in state.document["lines"]:
                product = person.product_of(line)
                if product.item is None and not person.unmade(line, self.rules):
                    self.halo.items.add(product.key)
        if states and self._summed() and self._default_group():
            self.halo.items.add(SUMMARY)

    def _summed(self) -> bool:
        return bool(self._lines().get("write") == "summary")

    def _lines(self) -> Json:
        found: Json = self.rules.of("opportunities").get("lines", {})
        return found

    def _default_group(self) -> bool:
        return bool(self.rules.of("items")["asset_group"] != "Nowhere")

    def _has_items(self, state: State) -> bool:
        return not any(person.unmade(line, self.rules) for line in state.document["lines"])

    # Opportunities ------------------------------------------------------------------------------------------

    def _published(self, event: Event) -> None:
        if event.number <= self.published:
            return
        self.published = event.number
        known = {client.name for client in KNOWN_CLIENTS}
        self.halo.clients |= {event.data["customer"]["name"]} - known
        found = self.halo.opportunities.setdefault(f"published {event.subject}", Opportunity())
        found.titles = {event.data["title"]}
        if self.rules.of("opportunities").get("value") != "profit":
            found.value = Decimal(event.data["value"])
        word = event.data.get("status", "").casefold()
        if word:
            found.status = OPPORTUNITY_STATUSES[word]

    def _write_opportunities(self, states: list[State]) -> None:
        for (quote, name), state in list(self.opportunities.items()):
            if name.startswith("published"):
                self._ensure_published(name, states)
            elif self._may_have_products(state):
                self._write_opportunity(name, state)
            else:
                continue
            self.reached.add((quote, name))
            del self.opportunities[quote, name]

    def _ensure_published(self, name: str, states: list[State]) -> None:
        """Made for the quote where its producer has not published it yet."""
        if name not in self.halo.opportunities:
            titles = {one.document["title"] for one in states if one.opportunity == name}
            self.halo.opportunities[name] = Opportunity(titles=titles)

    def _may_have_products(self, state: State) -> bool:
        match self._lines().get("write", "none"):
            case "summary":
                return self._default_group()
            case "detail":
                whole = self._lines().get("bundles") != "summary"
                shown = [line for line in state.document["lines"] if whole or "bundle" not in line]
                return not any(person.unmade(line, self.rules) for line in shown)
        return True

    def _write_opportunity(self, name: str, state: State) -> None:
        found = self.halo.opportunities.get(name)
        if found is None:
            found = self.halo.opportunities[name] = Opportunity(titles={state.document["title"]})
        elif self.rules.of("opportunities").get("rename"):
            found.titles = {state.document["title"]}
        # Of several quotes on one opportunity that a person picked the first to come may write to it.
        found.writers = {quote for quote, named in self.named if named == name}
        found.shows = state
        number = person.po_number(state.document, self.rules)
        if state.own and number:
            found.po_numbers = {number}

    # Quotes -------------------------------------------------------------------------------------------------

    def _write_quotes(self, states: list[State]) -> None:
        for key, state in list(self.quotes.items()):
            outcome = self._written(key, state)
            if outcome == "waits":
                self.halo.waiting.add(state.quote)
                continue
            del self.quotes[key]
            if not any(of == state.quote for of, _ in self.quotes):
                self.halo.waiting.discard(state.quote)
            (self.halo.rejected.add if outcome == "rejected" else self.halo.rejected.discard)(state.quote)

    def _written(self, key: tuple[str, str], state: State) -> str:
        there = self.halo.quotes.get(key)
        code = person.status_code(state.word, self.rules)
        fixed = self.rules.quotes_mode == "first_only"
        if there is None:
            if (state.quote, state.opportunity) not in self.reached or not self._has_items(state):
                return "waits"
            if person.unwritable(state.document):
                return "rejected"
            first = FIRST_STATUS
            if not person.is_mapped(state.word, self.rules) and self.rules.has_new:
                first = NEW_STATUS
            number = person.po_number(state.document, self.rules)
            there = self.halo.quotes[key] = HaloQuote(state, first, number, state.won)
            self._set_status(there, code)
            return "written"
        same = (there.head.document, there.head.opportunity) == (state.document, state.opportunity)
        if not same and not fixed:
            if (state.quote, state.opportunity) not in self.reached or not self._has_items(state):
                return "waits"
            if person.unwritable(state.document):
                return "rejected"
            there.head = state
            there.po_number = person.po_number(state.document, self.rules) or there.po_number
        there.at_client = there.at_client or state.won
        self._set_status(there, code)
        return "written"

    def _set_status(self, there: HaloQuote, code: int | None) -> None:
        before, there.status = there.status, there.status if code is None else code
        approved = there.status == ACCEPTED != before
        there.order = there.order or (approved and self.rules.order_on_approval)

    # Winning ------------------------------------------------------------------------------------------------

    def _complete(self) -> None:
        for (quote, name), states in list(self.steps.items()):
            if (quote, name) not in self.reached:
                continue
            found, state = self.halo.opportunities[name], states[-1]
            if state.completes:
                found.completed_by.add(quote)
            elif any(one.completes for one in states):
                found.perhaps_by.add(quote)
            # A number is never erased: one that was the customer's for a moment may stay.
            won = [one for one in states if one.won and not one.own]
            found.po_numbers |= {person.po_number(one.document, self.rules) for one in won}
            del self.steps[quote, name]

    def _order(self) -> None:
        for quote, state in list(self.orders.items()):
            if quote in self.halo.orders or self.halo.halo_orders(quote):
                del self.orders[quote]
                continue
            there = (quote, state.scope) in self.halo.quotes and (quote, state.opportunity) in self.reached
            if not there or not self._has_items(state):
                continue
            if not person.unwritable(state.document):
                self.halo.orders[quote] = state
            del self.orders[quote]


def value_of(state: State, rules: Json) -> Decimal:
    """What a document is worth on its opportunity: the sale, with the charge for delivery, or what is earned by it."""
    if rules.get("value") == "profit":
        return amounts.net(state.document) - amounts.cost(state.document)
    return amounts.net(state.document) + amounts.shipping(state.document)
