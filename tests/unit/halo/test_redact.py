"""Nothing that is written down carries a secret, by name or by value."""

import pytest

from halo import redact_mapping, redact_query, redact_text

CANARY = "c4nary/secret+value"


@pytest.mark.parametrize(
    "text",
    [
        f"client_secret={CANARY}&x=1",
        f'{{"access_token": "{CANARY}"}}',
        f"{{'password': '{CANARY}'}}",
        f"Authorization: Bearer {CANARY}",
        f"sent bearer {CANARY} to Halo",
        f"refresh_token: {CANARY}",
        f"X-Api-Key={CANARY}",
        f"Cookie: {CANARY}",
    ],
)
def test_a_sensitive_key_hides_its_value_in_text(text: str) -> None:
    assert "c4nary" not in redact_text(text)
    assert "***" in redact_text(text)


@pytest.mark.parametrize("shape", [CANARY, "c4nary%2Fsecret%2Bvalue"])
def test_a_known_secret_is_hidden_wherever_it_stands_and_however_encoded(shape: str) -> None:
    assert redact_text(f"no client {shape} here", [CANARY]) == "no client *** here"


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    assert redact_text("abcd-efgh", ["abcd", "abcd-efgh"]) == "***"


def test_what_is_no_secret_stays() -> None:
    text = "Item 12 'Widget' costs 3.50; id: 7, Message: ok"
    assert redact_text(text, ["", "a"]) == text


def test_a_mapping_is_redacted_at_every_depth_and_left_as_it_was() -> None:
    source = {
        "a": [{"client_secret": CANARY}, CANARY],
        "Authorization": {"x": CANARY},
        "n": 1,
        "t": (f"-{CANARY}",),
    }
    shown = redact_mapping(source, [CANARY])
    assert shown == {"a": [{"client_secret": "***"}, "***"], "Authorization": "***", "n": 1, "t": ["-***"]}
    assert source["a"][1] == CANARY  # type: ignore[index]


def test_a_query_keeps_its_names_and_structure_and_loses_secrets_and_personal_text() -> None:
    note = CANARY.replace("+", "%2B")
    query = f"page_no=2&search=jo%40example.com&token={CANARY}&ticket_id=7&note={note}&empty="
    assert redact_query(query, [CANARY]) == "page_no=2&search=***&token=***&ticket_id=7&note=***&empty="
