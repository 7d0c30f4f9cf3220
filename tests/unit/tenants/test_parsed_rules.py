"""Which rules the follower keeps in their parsed form: those asked for lately, within a bound."""

import datetime as dt

import pytest

from hub.bus.records import Record
from hub.tenants.follower import RulesFollower
from hub.tenants.load import accept
from hub.tenants.publisher import message
from tests.unit.tenants.files import MINIMAL

AT = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)


def revision(tenant: str, sequence: int = 1, ticket_type: str = "Opportunity") -> Record:
    text = MINIMAL.replace("tenant: acme", f"tenant: {tenant}").replace("Opportunity", ticket_type)
    out = message(accept(text.encode()), sequence, AT)
    return Record(out.topic, 0, sequence, 0, out.key, out.value, out.headers)


def follower_of(*tenants: str, kept: float) -> RulesFollower:
    """Follows these tenants, whose texts are equally long, and keeps the rules of `kept` of them parsed."""
    follower = RulesFollower(max_parsed_bytes=int(kept * len(accept(MINIMAL.encode()).text)))
    for tenant in tenants:
        follower.apply(revision(tenant))
    return follower


def test_rules_asked_for_again_are_the_same_object_until_they_change() -> None:
    follower = follower_of("t001", kept=10)
    first = follower.get("t001")

    assert first is not None
    assert follower.get("t001") is first
    follower.apply(revision("t001", 2, "Deal"))
    second = follower.get("t001")
    assert second is not None
    assert second.sequence == 2
    assert second.rules.opportunities is not None
    assert second.rules.opportunities.ticket_type == "Deal"


def test_rules_that_nobody_asks_for_are_let_go_and_come_back_equal() -> None:
    follower = follower_of("t001", "t002", "t003", kept=2.5)
    first, second = follower.get("t001"), follower.get("t002")
    assert follower.get("t001") is first

    follower.get("t003")

    assert follower.get("t001") is first
    again = follower.get("t002")
    assert again == second
    assert again is not second


def test_rules_larger_than_the_bound_are_usable_and_kept_while_they_are_the_newest() -> None:
    follower = follower_of("t001", "t002", kept=0.1)

    assert follower.get("t001") is follower.get("t001")
    assert follower.get("t002") is follower.get("t002")


@pytest.mark.parametrize("rounds", [1, 5])
def test_what_is_kept_is_counted_right_however_often_rules_change(rounds: int) -> None:
    follower = follower_of("t001", "t002", kept=2.5)
    for sequence in range(2, 2 + rounds):
        follower.apply(revision("t001", sequence, f"Deal{sequence % 10}"))
        follower.get("t001")

    second = follower.get("t002")

    assert follower.get("t001") is not None
    assert follower.get("t002") is second


def test_all_tenants_and_their_revisions_are_told_without_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    follower = follower_of("t001", "t002", kept=10)
    monkeypatch.setattr("hub.tenants.follower.from_text", lambda _: pytest.fail("parsed"))

    assert sorted(follower.tenants()) == ["t001", "t002"]
    assert follower.revision("t001")[0] == 1
