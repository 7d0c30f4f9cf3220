import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.telemetry.redaction import HIDDEN, Redactor


def redact(redactor: Redactor, **fields: object) -> dict[str, object]:
    return dict(redactor(None, "info", dict(fields)))


def test_values_of_sensitive_fields_are_hidden_at_any_depth() -> None:
    line = redact(
        Redactor(),
        client_secret="a",
        headers={"Authorization": "Bearer abc.def", "accept": "json"},
        rows=[{"db_password": "x"}],
        access_token=["one", "two"],
    )

    assert line == {
        "client_secret": HIDDEN,
        "headers": {"Authorization": HIDDEN, "accept": "json"},
        "rows": [{"db_password": HIDDEN}],
        "access_token": HIDDEN,
    }


def test_known_secrets_are_hidden_wherever_they_stand() -> None:
    line = redact(
        Redactor(["s3cret-value"]), event="call s3cret-value failed", **{"s3cret-value": (b"s3cret-value",)}
    )

    assert line == {"event": f"call {HIDDEN} failed", HIDDEN: [HIDDEN]}


def test_a_secret_that_contains_another_leaves_no_rest_behind() -> None:
    assert Redactor(["abcd", "abcd-efgh"]).text("abcd-efgh abcd") == f"{HIDDEN} {HIDDEN}"


def test_secrets_may_become_known_later() -> None:
    redactor = Redactor()
    redactor.add("learnt-later")

    assert redactor.text("learnt-later") == HIDDEN


def test_credentials_are_recognised_by_their_shape() -> None:
    text = Redactor().text(
        "Authorization: Bearer eyJ.abc.def, Basic dXNlcg== "
        "https://u:pw@host/?client_secret=zzz&grant=1 password=p"
    )

    assert not re.search(r"eyJ\.abc|dXNlcg|pw@|zzz|=p$", text)
    assert "&grant=1" in text


def test_what_tells_nothing_stays_readable() -> None:
    line = {"secret_configured": True, "token_age_s": 12, "password": None, "event": "a basic quote"}

    assert redact(Redactor(["abc"]), **line) == line


def test_deep_or_cyclic_values_end() -> None:
    cyclic: dict[str, object] = {}
    cyclic["self"] = cyclic

    assert "[dict]" in str(redact(Redactor(), value=cyclic))


_SECRETS = st.lists(st.text(min_size=4, max_size=12), min_size=1, max_size=4)


@given(secrets=_SECRETS, before=st.text(max_size=5), after=st.text(max_size=5))
@pytest.mark.invariant("INV-14")
def test_no_secret_survives_in_any_text(secrets: list[str], before: str, after: str) -> None:
    redacted = Redactor(secrets).text(before + secrets[0] + after)

    pieces = redacted.split(HIDDEN)
    assert not any(secret in piece for secret in secrets for piece in pieces)
