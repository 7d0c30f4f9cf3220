"""What people have answered, and the rows that their answers let go on."""

from __future__ import annotations

from hub.store import Store, decisions, pending
from hub.store.decisions import Decision
from hub.store.pending import DECISION
from tests.integration.store.test_pending_outbox import put, row


def answer(choice: str, at: float, **fields: str) -> Decision:
    values = {"tenant": "acme", "target_key": "acme/h/s/client/1/", "question": "match.several", "by": "ada"}
    return Decision(choice=choice, at=at, **(values | fields))


async def test_the_newest_answer_to_a_question_counts_in_whatever_order_they_come(store: Store) -> None:
    async with store.write() as conn:
        for one in (answer("12", 2.0), answer("13", 1.0), answer("7", 1.0, question="other", by="a\0b")):
            await decisions.put(conn, one)
        await decisions.put(conn, answer("99", 9.0, tenant="globex"))
    async with store.read() as conn:
        key = "acme/h/s/client/1/"
        assert await decisions.choice(conn, "acme", key, "match.several") == "12"
        assert await decisions.choice(conn, "acme", key, "other") == "7"
        assert await decisions.choice(conn, "acme", "acme/h/s/client/2/", "match.several") is None
    async with store.write() as conn:
        await decisions.put(conn, answer("13", 3.0))
        assert await decisions.choice(conn, "acme", key, "match.several") == "13"


async def test_an_answer_makes_due_what_waits_for_a_person_and_nothing_else(store: Store) -> None:
    await put(
        store,
        row("a", reason=DECISION),
        row("b", reason=DECISION),
        row("c"),
        row("a", reason=DECISION, tenant="globex"),
    )
    async with store.write() as conn:
        for key in ("a", "c", "nobody"):
            await pending.try_now(conn, "acme", "writer", key, DECISION)
    async with store.read() as conn:
        assert await pending.to_try_now(conn, "writer", DECISION) == [("acme", "a")]
        assert sorted(await pending.waiting_for(conn, "writer", DECISION)) == [
            ("acme", "a", "m1"),
            ("acme", "b", "m1"),
            ("globex", "a", "m1"),
        ]
        assert await pending.due_tenants(conn, "writer", 1.0) == ["acme"]
