"""Files of a quote and files that come by themselves, as attachments of the quote's opportunity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.bus.records import Record as LogRecord
from hub.store import pending
from hub.store.engine import Store
from hub.tenants.follower import Rules
from hub.tenants.load import RulesInvalid
from hub.tenants.model import RuleSet
from schemas.commands import AttachFile, UpsertQuote
from schemas.envelope import Envelope, from_headers, headers_of
from schemas.files import FileAdded
from schemas.identity import id_of
from schemas.registry import decode, encode
from schemas.topics import QUOTES
from services.mapper.batch import Batch, DesiredCache
from services.mapper.intake import Event, read
from services.mapper.quote import Mapped
from services.mapper.record import fold
from services.mapper.release import release_waiting
from tests.unit.mapper.build import BASIS, START, envelope, map_quote, mapped, quote, rules
from tests.unit.mapper.test_service import Bench as Service

SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
OTHER = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"


def ref(sha: str = SHA, name: str = "Quote.pdf", url: str = "https://files.example/q.pdf") -> dict[str, Any]:
    return {"url": url, "name": name, "sha256": sha, "size": 1024, "media_type": "application/pdf"}


def attached(**content: Any) -> list[AttachFile]:
    with_rules = content.pop("with_rules", None)
    made = mapped(quote(**content), with_rules) if with_rules is not None else mapped(quote(**content))
    return [command for command in made.commands if isinstance(command, AttachFile)]


def file_event(number: int = 1, *, subject: str = "file-1", **changes: Any) -> Event:
    content = {"owner": {"kind": "quote", "id": "Q-1"}, "file": ref(), "origin": "print"} | changes
    told = envelope(number, "file.added.v1", subject=subject)
    value = encode(msgspec.convert(content, FileAdded))
    found = read(LogRecord(QUOTES, 0, number, 0, told.key, value, headers_of(told)), START)
    assert isinstance(found, Event)
    return found


def quote_event(number: int = 1, **content: Any) -> Event:
    told = envelope(number)
    found = read(LogRecord(QUOTES, 0, 0, 0, told.key, encode(quote(**content)), headers_of(told)), START)
    assert isinstance(found, Event)
    return found


def run(*events: Event, rule_set: RuleSet | None = None) -> Batch:
    present = Rules("acme", 7, "h", rule_set or rules())
    made = Batch({}, lambda _: present, DesiredCache(), max_message_bytes=1_000_000)
    made.run(events)
    return made


def attachments(made: Batch) -> list[AttachFile]:
    found = [decode(from_headers(out.headers).type, out.value or b"") for out in made.outgoing]
    return [command for command in found if isinstance(command, AttachFile)]


def added(number: int = 1, *, subject: str = "file-1", **changes: Any) -> AttachFile:
    """The command of a file whose quote is there."""
    (command,) = attachments(run(quote_event(), file_event(number, subject=subject, **changes)))
    return command


def content_of(command: AttachFile) -> tuple[str, str, str]:
    return command.name.value, command.file.value.url, command.file.value.sha256


@pytest.mark.feature("file.quote_pdf", part="mapper")
def test_the_pdf_goes_on_the_quotes_opportunity_and_not_on_the_quote() -> None:
    (command,) = attached(pdf=ref())
    owner = command.opportunity.value
    assert (owner.kind, owner.id) == ("opportunity", "Q-1")
    assert content_of(command) == ("Quote.pdf", "https://files.example/q.pdf", SHA)
    assert command.ensure
    assert command.seq == ()


@pytest.mark.feature("file.quote_pdf", part="mapper")
def test_the_target_is_the_owner_and_the_content_whatever_else_changes() -> None:
    (first,) = attached(pdf=ref())
    (again,) = attached(
        pdf=ref(name="Revision 2.pdf", url="https://files.example/r2.pdf?sig=1"), title="Other"
    )
    (other,) = attached(pdf=ref(OTHER))
    assert first.target == again.target
    assert (first.target.kind, first.target.id, first.target.scope) == (
        "attachment",
        "Q-1",
        f"opportunity:{SHA}",
    )
    assert other.target != first.target


@pytest.mark.feature("file.quote_pdf", part="mapper")
def test_the_same_event_again_makes_the_same_command() -> None:
    (first,) = attached(pdf=ref())
    (again,) = attached(pdf=ref())
    assert first == again
    assert id_of(first) == id_of(again)


@pytest.mark.feature("file.quote_pdf", part="mapper")
def test_a_tenant_that_wants_no_pdf_gets_none_but_the_other_files() -> None:
    without = rules(quotes={"pdf": False})
    assert attached(pdf=ref(), with_rules=without) == []
    (command,) = attached(pdf=ref(), files=[ref(OTHER, "Plan.pdf")], with_rules=without)
    assert content_of(command)[2] == OTHER


@pytest.mark.feature("file.quote_pdf", part="mapper")
def test_one_producer_may_differ_in_whether_its_pdf_is_wanted() -> None:
    only = {"sources": {"quoter": {"quotes": {"pdf": False}}}}
    assert attached(pdf=ref(), with_rules=rules("quoter", **only)) == []
    assert len(attached(pdf=ref(), with_rules=rules("other", **only))) == 1


@pytest.mark.feature("file.quote", part="mapper")
def test_the_other_files_of_a_quote_go_along_each_content_once() -> None:
    files = [ref(OTHER, "Plan.pdf"), ref(OTHER, "Plan again.pdf"), ref(SHA, "The quote once more.pdf")]
    made = attached(pdf=ref(), files=files)
    assert [content_of(command)[0] for command in made] == ["Quote.pdf", "Plan.pdf"]
    assert [command.origin.value for command in made] == ["quote PDF", "quote file"]


@pytest.mark.feature("file.quote", part="mapper")
def test_files_change_nothing_of_the_quotes_own_command() -> None:
    """A new PDF alone costs no request for the quote."""
    plain = next(c for c in mapped(quote()).commands if isinstance(c, UpsertQuote))
    with_files = next(
        c for c in mapped(quote(pdf=ref(), files=[ref(OTHER)])).commands if isinstance(c, UpsertQuote)
    )
    assert plain.state_hash == with_files.state_hash


@pytest.mark.feature("extra.pdf_each_time", part="mapper")
@pytest.mark.parametrize("event_type", ["quote.published.v1", "quote.updated.v1"])
def test_every_event_that_makes_or_changes_the_opportunity_brings_its_pdf(event_type: str) -> None:
    made = []
    for revision, sha in ((1, SHA), (2, OTHER)):
        told: Envelope = envelope(revision, event_type)
        folded = fold(None, told, quote(pdf=ref(sha)))
        made += [c.target.scope for c in _commands(folded.record) if isinstance(c, AttachFile)]
    assert made == [f"opportunity:{SHA}", f"opportunity:{OTHER}"]


def _commands(record: Any) -> Any:
    made = map_quote(record, rules(), BASIS, frozenset({"head", "lines", "status"}))
    assert isinstance(made, Mapped)
    return made.commands


@pytest.mark.feature("file.manual", part="mapper")
def test_a_file_that_comes_by_itself_goes_on_its_quotes_opportunity_and_keeps_its_origin() -> None:
    command = added()
    assert (command.opportunity.value.kind, command.opportunity.value.id) == ("opportunity", "Q-1")
    assert command.origin.value == "print"
    assert command.ensure


@pytest.mark.feature("file.manual", part="mapper")
@pytest.mark.parametrize("link", [{"halo_id": 5120}, {"id": "deal-7"}, None])
def test_a_file_goes_where_its_quote_goes_whichever_opportunity_that_names(link: Any) -> None:
    made = run(quote_event(opportunity=link), file_event())
    (command,) = attachments(made)
    quotes = [decode(from_headers(out.headers).type, out.value or b"") for out in made.outgoing]
    (its_quote,) = (command for command in quotes if isinstance(command, UpsertQuote))
    assert command.opportunity.value == its_quote.opportunity.value


@pytest.mark.feature("file.manual", part="mapper")
def test_a_file_of_an_opportunity_that_its_producer_publishes_goes_there() -> None:
    (command,) = attachments(run(file_event(owner={"kind": "opportunity", "id": "deal-7"})))
    (of_quote,) = attached(pdf=ref(), opportunity={"id": "deal-7"})
    assert command.target == of_quote.target
    assert command.opportunity.value.id == "deal-7"


def test_two_opportunities_of_one_id_have_attachments_of_their_own() -> None:
    (own,) = attached(pdf=ref())
    (published,) = attached(pdf=ref(), opportunity={"id": "Q-1"})
    assert own.target != published.target


@pytest.mark.feature("file.manual", part="mapper")
def test_a_file_waits_for_a_quote_that_has_not_come_and_waits_no_more_when_it_has() -> None:
    early = run(file_event())
    assert [one.result for one in early.settled] == ["waiting"]
    assert early.outgoing == []
    event = file_event()
    assert list(early.waiting) == [event.key]
    both = run(event, quote_event(), event)
    assert [one.result for one in both.settled] == ["waiting", "mapped", "repeat"]
    assert len(attachments(both)) == 1
    assert both.waiting == {}
    assert event.key in both.arrived


@pytest.mark.feature("file.manual", part="mapper")
def test_the_same_content_by_another_event_is_the_same_attachment() -> None:
    (of_quote,) = attached(pdf=ref())
    assert added().target == added(2, subject="file-2", file=ref(name="b.pdf")).target == of_quote.target


def test_without_opportunities_a_file_is_switched_off() -> None:
    off = rules().model_copy(update={"opportunities": None, "quotes": None})
    assert [one.result for one in run(file_event(), rule_set=off).settled] == ["switched_off"]


@pytest.mark.feature("file.by_reference", part="writer")
def test_no_bytes_travel_in_a_command() -> None:
    (command,) = attached(pdf=ref())
    assert len(msgspec.json.encode(command)) < 2_000


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        (["https://files.example"], "host name alone"),
        (["files.example/a"], "host name alone"),
        (["files.example:8443"], "host name alone"),
        (["10.0.0.7"], "no host name"),
        (["2130706433"], "no host name"),
        (["::1"], "host name alone"),
        (["localhost"], "no host name"),
        (["*"], "no host name"),
        (["*.com"], "no host name"),
        (["a.*.example"], "no host name"),
        (["files.example."], "no host name"),
        (["fïles.example"], "xn--"),
        ("files.example", "a list"),
    ],
)
def test_a_host_that_would_allow_anything_is_no_host(hosts: Any, told: str) -> None:
    with pytest.raises(RulesInvalid) as refused:
        rules(quotes={"file_hosts": hosts})
    assert "quotes.file_hosts" in str(refused.value)
    assert told in str(refused.value)


def test_hosts_are_names_in_lower_case_and_may_begin_with_a_star() -> None:
    sections = rules(quotes={"file_hosts": ["Files.Quoter.example", "*.cdn.quoter.example"]})
    assert sections.quotes is not None
    assert sections.quotes.file_hosts == ("files.quoter.example", "*.cdn.quoter.example")


@pytest.mark.feature("file.manual", part="mapper")
def test_a_file_on_the_log_becomes_a_command_and_its_repeat_the_same_one() -> None:
    event = file_event()
    made = run(quote_event(), event, event)
    assert [one.result for one in made.settled] == ["mapped", "mapped", "repeat"]
    first, again = attachments(made)
    assert id_of(first) == id_of(again)


@pytest.mark.feature("file.manual", part="mapper")
async def test_a_file_that_waited_for_its_quote_is_mapped_by_itself_when_that_has_come(
    tmp_path: Path,
) -> None:
    store = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'mapper.db'}")
    await store.migrate()
    bench = Service(store)
    event, its_quote = file_event(), quote_event()
    await bench.mapper.process([event.record])
    assert await release_waiting(store, bench, bench.publish) == 0
    async with store.read() as conn:
        (row,) = await pending.of_tenant(conn, "acme", "mapper")
    assert (row.reason, row.waits_for) == ("base", "quoter/quote/Q-1")
    assert row.not_before > row.since, "it is asked about at growing distances"
    await bench.mapper.process([its_quote.record])
    async with store.write() as conn:
        await pending.put(conn, msgspec.structs.replace(row, not_before=row.since))
    assert await release_waiting(store, bench, bench.publish) == 1
    (again,) = [out for out in bench.published if out.topic == QUOTES]
    assert (again.key, again.value) == (event.record.key, event.record.value)
    await bench.mapper.process([event.record])
    assert [t for t in (from_headers(o.headers).type for o in bench.published) if t == "attach_file.v1"]
    async with store.read() as conn:
        assert await pending.of_tenant(conn, "acme", "mapper") == []
    await store.close()
