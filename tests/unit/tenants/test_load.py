"""A tenant file becomes rules, or every fault of it is told; what it says is all that its hash depends on."""

import json
import re
from pathlib import Path

import pytest

from hub.tenants.load import MAX_DEPTH, MAX_FILE_BYTES, RulesInvalid, accept, from_text
from tests.unit.tenants.files import MINIMAL, faults, rules


def test_the_minimal_file_of_a_quoting_tool_has_every_default() -> None:
    made = rules()
    assert made.clients.match == ("halo_id", "external_id", "name")
    assert made.users.match == ("halo_id", "external_id", "email")
    assert made.items.match == ("halo_id", "sku", "name")
    assert made.items.name_from == "name"
    assert (made.agents.owner, made.agents.default) == ("logged_in_user", None)
    assert (made.addresses.line1, made.addresses.line2, made.addresses.line3) == (
        "street",
        "apartment",
        "city",
    )
    assert made.addresses.line4 is None
    assert made.quotes is not None
    assert (made.quotes.revisions, made.quotes.taxes.push, made.quotes.taxes.skip) == (
        "overwrite",
        True,
        ("avalara",),
    )
    assert (made.halo.budget.requests, made.halo.budget.window) == (300, 300)
    assert made.halo.scopes == "auto"


@pytest.mark.parametrize(
    ("written", "most"), [(None, 20), ("auto", 20), ("off", 1), ("1", 1), ("7", 7), ("100", 100)]
)
def test_how_many_records_may_share_a_request_is_said_by_bulk(written: str | None, most: int) -> None:
    text = MINIMAL if written is None else MINIMAL.replace("  client_id", f"  bulk: {written}\n  client_id")
    assert rules(text).halo.most_together == most
    assert from_text(accept(text.encode()).text) == rules(text)


@pytest.mark.parametrize("written", ["0", "101", "-1", "on", "true", "all", "[20]", "null", "2.5"])
def test_a_bulk_that_is_no_number_of_records_is_refused(written: str) -> None:
    found = faults(MINIMAL.replace("  client_id", f"  bulk: {written}\n  client_id"))
    assert set(found) == {"halo.bulk"}
    assert "auto, off" in found["halo.bulk"]


def test_comments_spaces_and_quoting_leave_the_hash_alone() -> None:
    noisy = MINIMAL.replace("tenant: acme", "# ours\n\ntenant:   'acme'  # name").replace("Draft", '"Draft"')
    assert accept(noisy.encode()) == accept(MINIMAL.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Opportunity", "Deal"),
        ("draft: Draft", "draft: Drafted"),
        ("{draft: Draft, sent: Sent,", "{sent: Sent,"),
    ],
)
def test_any_change_of_content_changes_the_hash(before: str, after: str) -> None:
    assert accept(MINIMAL.replace(before, after).encode()).hash != accept(MINIMAL.encode()).hash


def test_the_normalised_text_is_the_same_file_again() -> None:
    accepted = accept(MINIMAL.encode())
    assert accept(accepted.text.encode()) == accepted
    assert json.loads(accepted.text)["quotes"]["statuses"]["approved"] == "Accepted"
    assert "env:ACME_HALO_SECRET" in accepted.text


def test_the_text_holds_what_the_file_says_and_no_default() -> None:
    """So that a release with another default or another key doesn't turn unchanged files into revisions."""
    assert set(json.loads(accept(MINIMAL.encode()).text)) == {
        "tenant",
        "halo",
        "items",
        "opportunities",
        "quotes",
    }


def test_every_fault_is_told_at_once_with_its_key_and_value() -> None:
    found = faults(
        """
        tenant: ACME
        halo: {url: "http://acme.halopsa.com", client_secret: hunter2hunter2, bugdet: {}, budget: {window: 5}}
        agents: {owner: boss, map: {Jane: Jane Doe, " jane ": Other}}
        currency: true
        quotes: {revisions: newest, taxes: {push: yes}}
        """
    )
    assert set(found) == {
        "tenant",
        "halo.url",
        "halo.client_id",
        "halo.client_secret",
        "halo.bugdet",
        "halo.budget.window",
        "agents.owner",
        "agents.map",
        "currency",
        "quotes.revisions",
        "quotes.taxes.push",
        "items.asset_group",
        "opportunities",
    }
    assert '"boss"' in found["agents.owner"]
    assert "logged_in_user" in found["agents.owner"]
    assert "same name" in found["agents.map"]
    assert "300s" in found["halo.budget.window"]


def test_a_wrong_form_is_told_in_the_words_of_the_file() -> None:
    told = faults(
        MINIMAL.replace("tenant: acme", "tenant: Acme Ltd") + "agents: alex\nbilling_periods: [monthly]\n"
    )
    assert told["tenant"].startswith("must be lower case letters")
    assert told["agents"].startswith("must be a table")
    assert told["billing_periods"].startswith("must be a table")


def test_an_unknown_key_lists_what_is_near_or_all_there_is() -> None:
    text = MINIMAL.replace("asset_group:", "asset_gruop:").replace(
        "opportunities:", "zebra: 1\nopportunities:"
    )
    found = faults(text)
    assert "did you mean asset_group" in found["items.asset_gruop"]
    assert "opportunities" in found["zebra"]


@pytest.mark.parametrize("secret", ["hunter2", "env:", "file:", "env:1X", "vault:x", " "])
def test_a_literal_secret_is_refused_and_never_repeated(secret: str) -> None:
    text = MINIMAL.replace("env:ACME_HALO_SECRET", f"'{secret}'")
    with pytest.raises(RulesInvalid) as caught:
        accept(text.encode())
    assert [fault.at for fault in caught.value.faults] == ["halo.client_secret"]
    if len(secret) > 5:
        assert secret not in str(caught.value).replace("env:NAME or file:/path", "")


@pytest.mark.invariant("INV-14")
def test_a_secret_in_a_broken_file_is_not_repeated_either() -> None:
    with pytest.raises(RulesInvalid) as caught:
        accept(b"tenant: acme\nhalo: {client_secret: hunter2, x: [")
    assert "hunter2" not in str(caught.value)
    assert "line" in str(caught.value)


@pytest.mark.parametrize("reference", ["file:/run/a\\0b", "env:A\\n", "file:/ a", "file:relative"])
def test_a_reference_that_leads_nowhere_whatever_is_there_is_refused(reference: str) -> None:
    assert set(faults(MINIMAL.replace("env:ACME_HALO_SECRET", f'"{reference}"'))) == {"halo.client_secret"}


@pytest.mark.parametrize("reference", ["env:A_1", "file:/run/secrets/halo", "file:/run/a b"])
def test_a_secret_by_reference_is_taken(reference: str) -> None:
    assert rules(MINIMAL.replace("env:ACME_HALO_SECRET", f"'{reference}'")).halo.client_secret == reference


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("https://acme.halopsa.com", "acme.halopsa.com"),
        ("acme.halopsa.com", "acme.halopsa.com"),
        ("https://ACME.halopsa.com/portal/page?x=1", "acme.halopsa.com"),
        ("https://acme.halopsa.com:443/", "acme.halopsa.com"),
        ("https://acme.example:8443", "acme.example:8443"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
    ],
)
def test_the_instance_of_a_sign_in_address_is_its_host(url: str, instance: str) -> None:
    assert rules(MINIMAL.replace("https://acme.halopsa.com", f'"{url}"')).instance == instance


@pytest.mark.parametrize(
    ("server", "instance"),
    [
        ("https://acme.halopsa.com/api", "acme.halopsa.com"),
        ("https://acme.halopsa.com/api/", "acme.halopsa.com"),
        ("https://data.example/halo/api", "data.example/halo"),
        ("http://127.0.0.1:9000/acme/api", "127.0.0.1:9000/acme"),
        ("http://localhost:9000/other/api", "localhost:9000/other"),
    ],
)
def test_the_instance_of_a_resource_server_keeps_what_tells_two_apart(server: str, instance: str) -> None:
    text = MINIMAL.replace("  client_id", f'  resource_server: "{server}"\n  client_id')
    assert rules(text).instance == instance


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.halopsa.com",
        "ftp://acme.halopsa.com",
        "https://",
        "https://u:p@x.example",
        "a b",
        "https://x:99999",
    ],
)
def test_an_address_that_is_none_or_not_safe_is_refused(url: str) -> None:
    assert set(faults(MINIMAL.replace("https://acme.halopsa.com", f'"{url}"'))) == {"halo.url"}


def test_either_the_url_or_both_servers_are_needed() -> None:
    found = faults(MINIMAL.replace("url: https://acme.halopsa.com", "resource_server: https://x.example/api"))
    assert "authorization_server" in found["halo"]


@pytest.mark.feature("item.group.default", part="mapper")
def test_a_default_group_is_mandatory_once_quotes_may_create_items() -> None:
    found = faults(MINIMAL.replace("items:\n  asset_group: Hardware\n", ""))
    assert "required" in found["items.asset_group"]
    assert not rules(MINIMAL[: MINIMAL.index("items:")]).items.asset_group


@pytest.mark.feature("opp.ticket_type", part="mapper")
def test_the_ticket_type_of_opportunities_is_mandatory() -> None:
    assert (
        "required"
        in faults(MINIMAL.replace("ticket_type: Opportunity", "status: New"))["opportunities.ticket_type"]
    )


def test_quotes_need_opportunities_and_the_message_says_how() -> None:
    found = faults(MINIMAL.replace("opportunities:\n  ticket_type: Opportunity\n", ""))
    assert "ticket_type" in found["opportunities"]


def test_a_switch_without_content_is_told_apart_from_off() -> None:
    assert "{}" in faults(MINIMAL[: MINIMAL.index("quotes:")] + "quotes:\n")["quotes"]
    assert rules(MINIMAL[: MINIMAL.index("quotes:")] + "quotes: {}\n").quotes is not None
    assert rules(MINIMAL[: MINIMAL.index("quotes:")]).quotes is None


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (b"tenant: a\ntenant: b", "twice"),
        (b"a: &x {b: 1}\nc: *x", "anchor"),
        (b"- a", "table"),
        (b"", "table"),
        (b"? [1]\n: 2", "no text"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"a: [", "no YAML"),
        (b"tenant: acme\nhalo:\n\turl: x", "indent with spaces, not with tabs"),
        (b"a: 1\n---\nb: 2", "one document"),
        (b"[" * (MAX_DEPTH + 2), "deeper"),
        (b"a: " + b"[" * 100_000, "deeper"),
        (b"#" * (MAX_FILE_BYTES + 1), "larger"),
        (b"a: !!python/object/apply:os.system [ls]", "tag"),
        (b"tenant: !!str 12", "tag"),
        (b"tenant: !env TENANT", "tag"),
        (b"halo: !!map {}", "tag"),
    ],
)
def test_what_is_no_tenant_file_is_refused(source: bytes, told: str) -> None:
    assert any(told in problem for problem in faults(source).values()) or told in str(faults(source))


@pytest.mark.parametrize(
    ("written", "at", "told"),
    [
        ("quotes: {won: accepted}", "quotes.won", "a list: [one, another]"),
        ("quotes: {pdf: yes}", "quotes.pdf", 'true or false; it is "yes"'),
        (
            "items: {accounts: {Hardware: {income: 4000}}}",
            "items.accounts.Hardware.income",
            "in quotes; it is 4000",
        ),
        ("quotes: {taxes: {skip: [true]}}", "quotes.taxes.skip.0", "in quotes; it is true"),
        ("halo: {budget: {requests: 1e3}}", "halo.budget.requests", "a whole number"),
        ("addresses: {line1: custom.}", "addresses.line1", "custom.<name>"),
    ],
)
def test_a_value_of_another_form_is_told_in_words_of_the_file(written: str, at: str, told: str) -> None:
    assert told in faults(f"tenant: acme\n{written}")[at]


def test_plain_words_are_text_and_numbers_are_ids() -> None:
    made = rules(MINIMAL.replace("{draft: Draft,", "{draft: no, on: 08:00, lost: 17, 5: 1.5,"))
    assert made.quotes is not None
    assert made.quotes.statuses["draft"] == "no"
    assert made.quotes.statuses["on"] == "08:00"
    assert made.quotes.statuses["lost"] == 17
    assert made.quotes.statuses["5"] == "1.5"


@pytest.mark.parametrize(
    ("span", "seconds"), [("300s", 300), ("60m", 3600), ("12h", 43_200), ("30d", 2_592_000)]
)
def test_spans_have_a_unit(span: str, seconds: int) -> None:
    text = MINIMAL.replace("items:", f"  budget: {{requests: 10, window: {span}}}\nitems:")
    assert rules(text).halo.budget.window == seconds


@pytest.mark.parametrize("span", ["5", "0s", "1.5h", "-1s", "5w", "s"])
def test_what_is_no_span_is_refused(span: str) -> None:
    text = MINIMAL.replace("items:", f"  budget: {{requests: 10, window: '{span}'}}\nitems:")
    assert set(faults(text)) == {"halo.budget.window"}


def test_the_example_in_the_guide_is_a_tenant_file() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "tenants.md").read_text()
    example, *parts = re.findall(r"^```yaml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    for part in parts:
        section = part.partition("\n")[0]
        rest = re.sub(rf"^{section}\n(  .*\n)+", "", MINIMAL, flags=re.MULTILINE)
        assert rules(f"{rest}\n{part}") != rules(MINIMAL)
    assert rules(example).for_source("quoter").quotes != rules(example).quotes
