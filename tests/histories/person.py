"""What a person makes of one quote's events: its newest state, whether it is sold, and what is to be in Halo of it.

Written from the rows of docs/features.md and the words of docs/tenants.md; nothing here asks the mapper.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tests.histories import amounts
from tests.histories.draw import Event
from tests.histories.ground import BY_KEY, GROUPS, STATUS_CODES, Product
from tests.histories.rules import Setting

Json = dict[str, Any]
Held = Literal["no base", "faulty", "not won", "unanswered", "no opportunity"]
_WON = ("accepted", "approved", "ordered", "fulfilled")
_BY_NAME = {product.name: product for product in BY_KEY.values()}
_CURRENCIES = ("gbp", "eur", "usd")


@dataclass
class Book:
    """What is known of one quote: of each part the newest, whatever arrived when."""

    setting: Setting
    quote: str
    parts: dict[str, tuple[int, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    asks: bool = False
    """Whether its newest state leaves a question open."""

    def read(self, event: Event) -> None:
        data = event.data
        match event.kind:
            case "published" | "updated":
                self._newer("document", event.number, data)
                if data.get("status"):
                    self._newer("status", event.number, data["status"])
                if data.get("opportunity"):
                    self._newer("link", event.number, data["opportunity"])
            case "status":
                self._newer("status", event.number, data["status"])
            case "converted":
                self._newer("becomes", event.number, data["to"])
                if data.get("answers"):
                    self._newer("said", event.number, data["answers"])
            case "answered":
                before = self.answers.get(data["question"])
                if before is None or before[0] < event.number:
                    self.answers[data["question"]] = (event.number, data["choice"])

    def _newer(self, part: str, number: int, value: Any) -> None:
        if part not in self.parts or self.parts[part][0] < number:
            self.parts[part] = (number, value)

    def _part(self, part: str) -> Any:
        return self.parts[part][1] if part in self.parts else None

    # What it comes to ---------------------------------------------------------------------------------------

    @property
    def document(self) -> Json | None:
        found: Json | None = self._part("document")
        return found

    @property
    def word(self) -> str | None:
        found: str | None = self._part("status")
        return found

    @property
    def opportunity(self) -> str:
        """The opportunity that it belongs under, by a name of our own."""
        said = self._part("link") or {}
        if "halo_id" in said:
            return f"picked {said['halo_id']}"
        return f"published {said['id']}" if "id" in said else f"own {self.quote}"

    @property
    def won_by_status(self) -> bool:
        words = {word.casefold() for word in self.setting.quotes.get("won", _WON)}
        return (self.word or "").casefold() in words

    @property
    def sold(self) -> bool:
        """It has become an order or an invoice, as the tenant counts it; an invoice is past an order."""
        becomes, when = self._part("becomes"), self.setting.won.get("when", "order")
        return bool(becomes == "invoice" or (becomes == "order" and when != "invoice"))

    @property
    def won(self) -> bool:
        return self.won_by_status or self.sold

    @property
    def revision(self) -> Any:
        number, document = self.parts["document"]
        return document.get("commercial_revision", f"#{number}")

    def state(self) -> State | Held:
        """What Halo is to hold of it now, or why nothing new of it."""
        document, rules = self.document, self.setting
        self.asks = False
        if document is None:
            return "no base"
        if not self._sound(document):
            return "faulty"
        waits = rules.quotes["push"] == "won"
        if waits and not self.won:
            return "not won"
        own = self.opportunity == f"own {self.quote}"
        completes = False
        if self.sold and rules.won.get("when") != "never":
            # Where nothing was written before it was sold there is no opportunity yet.
            missing = waits and own and not self.won_by_status
            answer = self._answer("won.opp.missing" if missing else "won.opp.exists")
            if waits and own and not missing and self._answer("won.opp.missing") == "create":
                # It was made as a won one by that answer.
                answer = answer or "convert"
            answer = answer or (
                rules.won.get("if_none", "skip") if missing else rules.won.get("if_exists", "ask")
            )
            self.asks = answer == "ask"
            if missing and answer == "ask":
                return "unanswered"
            if missing and answer == "skip":
                return "no opportunity"
            completes = answer in ("create", "convert")
        scope = f"{self.revision}:{(self.word or '').casefold()}" if rules.quotes_mode == "new" else ""
        return State(self.quote, scope, document, self.word, self.opportunity, self.won, completes)

    def _answer(self, question: str) -> str | None:
        """What the producer's event brought, or what a person said; of both the one that acts."""
        answered = self.answers.get(question, (0, None))[1]
        both = ((self._part("said") or {}).get(question), answered)
        acts = next((one for one in both if one in ("convert", "create")), None)
        return acts or both[0] or both[1]

    def _sound(self, document: Json) -> bool:
        numbering = self.setting.of("items").get("part_number", {})
        without = [line for line in document["lines"] if not _number(line["product"], numbering)]
        return amounts.fits(document) and not without


def _number(product: Json, numbering: Json) -> bool:
    """Whether the tenant's rules find a number for a product."""
    source = numbering.get("from", "manufacturer_part_number")
    if product.get(source) or numbering.get("if_missing") == "macro":
        return True
    return bool(product.get("vendor_part_number")) if numbering.get("fallback") else True


@dataclass(frozen=True)
class State:
    """One state of a quote as Halo is to hold it; `scope` tells the Halo quotes of one quote apart."""

    quote: str
    scope: str
    document: Json
    word: str | None
    opportunity: str
    won: bool
    completes: bool

    def __hash__(self) -> int:
        return hash((self.quote, self.scope, self.document["title"]))

    @property
    def own(self) -> bool:
        return self.opportunity == f"own {self.quote}"

    @property
    def company(self) -> str:
        name: str = self.document["customer"]["name"]
        return name


def product_of(line: Json) -> Product:
    return _BY_NAME[line["product"]["name"]]


def unwritable(document: Json) -> bool:
    """Whether Halo can't take a quote so: a currency or a frequency that it lacks, or a line that its item forbids."""
    if document.get("currency", "GBP").casefold() not in _CURRENCIES:
        return True
    for line in document["lines"]:
        product = product_of(line)
        if line.get("frequency") == "fortnight" or product.key == "wrong":
            return True
        if product.key == "bargain" and amounts.steepest(line, document) > 15:
            return True
    return False


def unmade(line: Json, setting: Setting) -> bool:
    """Whether the item of a line isn't in Halo and can't be made there: no group, or a frequency that Halo lacks."""
    product, rules = product_of(line), setting.of("items")
    if product.item is not None:
        return False
    return line.get("frequency") == "fortnight" or group_of(line["product"], rules) is None


def group_of(product: Json, rules: Json) -> int | None:
    """The Halo group of a new item: that of the tenant's table, or of that very name, or the tenant's default."""
    table = {name.casefold(): group for name, group in rules.get("asset_groups", {}).items()}
    names = [product[name] for name in ("group", "category", "item_type") if product.get(name)]
    for name in names:
        if name.casefold() in table:
            return GROUPS[table[name.casefold()]]
    if names and names[0] in GROUPS:
        return GROUPS[names[0]]
    return GROUPS.get(rules["asset_group"])


def status_code(word: str | None, setting: Setting) -> int | None:
    """The Halo status of a word; None where Halo has none: what is there stays."""
    if word is None:
        return None
    table = {name.casefold(): status for name, status in setting.quotes["statuses"].items()}
    return STATUS_CODES.get(table.get(word.casefold(), word).casefold())


def is_mapped(word: str | None, setting: Setting) -> bool:
    return word is not None and word.casefold() in {name.casefold() for name in setting.quotes["statuses"]}


def po_number(document: Json, setting: Setting) -> str | None:
    """The customer's number, where the tenant names a field and it isn't blank."""
    path = setting.quotes.get("po_number")
    if path is None:
        return None
    held = document.get("custom", {}).get("customer_po") if path.startswith("custom.") else document.get(path)
    return (held or "").strip() or None
