"""Where Halo is and how to sign in to it: one address is enough, and nothing unusable is accepted."""

import copy
import dataclasses
import pickle

import msgspec
import pytest

from halo import ConfigurationError, Secret, derive_servers, resolve_servers
from tests.unit.halo.support import CANARY, connection

ACME = ("https://acme.halopsa.com/api", "https://acme.halopsa.com/auth")


@pytest.mark.feature("conn.url", part="halo client")
def test_both_servers_follow_from_the_sign_in_address() -> None:
    assert derive_servers("https://acme.halopsa.com") == ACME


@pytest.mark.feature("conn.url", part="halo client")
@pytest.mark.parametrize(
    "text",
    [
        "acme.halopsa.com",
        "  acme.halopsa.com\n",
        "//acme.halopsa.com",
        "ACME.HaloPSA.com",
        "acme.halopsa.com:443",
    ],
)
def test_a_bare_domain_means_https(text: str) -> None:
    assert derive_servers(text) == ACME


@pytest.mark.feature("conn.url", part="halo client")
@pytest.mark.parametrize("text", ["https://acme.halopsa.com/", "acme.halopsa.com//"])
def test_a_trailing_slash_changes_nothing(text: str) -> None:
    assert derive_servers(text) == ACME


@pytest.mark.feature("conn.url", part="halo client")
@pytest.mark.parametrize(
    "text",
    [
        "https://acme.halopsa.com/tickets?area=1&mainview=team#top",
        "acme.halopsa.com/auth/account/login?ReturnUrl=%2F",
        "HTTPS://acme.halopsa.com:443/api/",
    ],
)
def test_a_pasted_page_gives_the_same_origin(text: str) -> None:
    assert derive_servers(text) == ACME


@pytest.mark.feature("conn.url", part="halo client")
@pytest.mark.parametrize(
    "text", ["http://acme.halopsa.com", "http://10.0.0.7/", "http://127.0.0.1.evil.example"]
)
def test_plain_http_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="use https"):
        derive_servers(text)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
def test_plain_http_to_this_machine_is_accepted(host: str) -> None:
    assert derive_servers(f"http://{host}/x") == (f"http://{host}/api", f"http://{host}/auth")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "https://",
        "ftp://acme.halopsa.com",
        "acme halopsa.com",
        "https://acme.halopsa.com:port",
        "https://[::1",
    ],
)
def test_what_is_no_web_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        derive_servers(text)
    assert refused.value.field == "url"


def test_an_address_that_carries_credentials_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        derive_servers(f"https://me:{CANARY}@acme.halopsa.com")
    assert CANARY not in str(refused.value)


@pytest.mark.feature("conn.servers", part="halo client")
def test_explicit_servers_win_over_derived_ones() -> None:
    explicit = resolve_servers(
        "acme.halopsa.com", "https://data.example.net/halo/api/", "https://auth.example.org/realms/halo"
    )
    assert explicit == ("https://data.example.net/halo/api", "https://auth.example.org/realms/halo")


@pytest.mark.feature("conn.servers", part="halo client")
def test_one_explicit_server_leaves_the_other_derived() -> None:
    assert resolve_servers("acme.halopsa.com", authorization_server="https://auth.haloservicedesk.com") == (
        ACME[0],
        "https://auth.haloservicedesk.com",
    )


def test_two_explicit_servers_need_no_address() -> None:
    assert resolve_servers(resource_server=ACME[0], authorization_server=ACME[1]) == ACME


def test_without_any_address_the_missing_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="url: is missing"):
        resolve_servers(" ", resource_server=ACME[0])


@pytest.mark.parametrize(
    "server", ["https://x.example/auth?tenant=acme", "https://x.example/api#a", "http://x.example/api"]
)
def test_an_explicit_server_must_be_a_bare_https_address(server: str) -> None:
    with pytest.raises(ConfigurationError, match="authorization server"):
        connection(authorization_server=server)


@pytest.mark.feature("conn.tenant", part="halo client")
@pytest.mark.parametrize("blank", [None, "", "  \t"])
def test_a_blank_tenant_is_no_tenant(blank: str | None) -> None:
    assert connection(tenant=blank).tenant is None


@pytest.mark.feature("conn.credentials", part="halo client")
def test_pasted_whitespace_around_id_and_secret_is_trimmed() -> None:
    made = connection(client_id=" client-1\r\n", client_secret=Secret(f"\t{CANARY} \n"))
    assert made.client_id == "client-1"
    assert made.client_secret.reveal() == CANARY


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("client id", {"client_id": " "}),
        ("client secret", {"client_secret": Secret(" ")}),
        ("scopes", {"scopes": (" ",)}),
        ("resource server", {"resource_server": ""}),
    ],
)
def test_a_missing_mandatory_value_is_named(field: str, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        connection(**changes)
    assert refused.value.field == field


@pytest.mark.feature("conn.credentials", part="halo client")
def test_no_text_form_of_a_connection_shows_the_secret() -> None:
    made = connection()
    shown = [repr(made), str(made), f"{made.client_secret:>40}", f"{made!r}", repr(dataclasses.asdict(made))]
    shown += [f"{made.client_secret}", repr(copy.deepcopy(made)), repr(copy.copy(made.client_secret))]
    assert not any(CANARY in text for text in shown)
    assert "***" in repr(made)


@pytest.mark.feature("conn.credentials", part="halo client")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_can_not_be_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="keep a reference"):
        pickle.dumps(connection(), protocol)


@pytest.mark.feature("conn.credentials", part="halo client")
def test_a_secret_can_not_be_encoded_as_json() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(connection())
    with pytest.raises(TypeError):
        msgspec.json.encode(Secret(CANARY))


def test_secrets_are_equal_by_value_and_never_to_text() -> None:
    assert Secret(CANARY) == Secret(f" {CANARY} ")
    assert hash(Secret(CANARY)) == hash(Secret(CANARY))
    assert Secret(CANARY) != Secret("other")
    assert Secret(CANARY) != CANARY
    assert connection() == connection()
