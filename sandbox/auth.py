"""Client credentials, bearer tokens and what their scopes allow.

Scopes only narrow: `all`, `all:standard`, `all:admin` and `admin` allow everything, `edit:x` includes
`read:x`, lists of codes can be read with any token. A missing or unknown scope is `invalid_scope`.
"""

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from sandbox.config import Credential
from sandbox.errors import Answer, RefusalError, empty, json_answer
from sandbox.resources import Resource

NAMES = (
    *("assets", "calendar", "contracts", "crm", "customers", "invoices", "items", "kb", "pos", "projects"),
    *("quotes", "reporting", "sales", "software", "softwarelicensing", "sos", "suppliers", "tickets"),
    "timesheets",
)
FULL = frozenset({"all", "all:standard", "all:admin", "admin"})
SCOPES = (
    FULL
    | {"admin:webhooks", "all:teams", "editMine:timesheets", "access:chat", "access:adpasswordreset"}
    | {f"{verb}:{name}" for verb in ("read", "edit") for name in NAMES}
)


@dataclass(frozen=True, slots=True)
class Grant:
    client_id: str
    scopes: frozenset[str]
    until_s: float


@dataclass
class Tokens:
    """Tokens of one instance; `until_s` is on the monotonic clock."""

    _grants: dict[str, Grant] = field(default_factory=dict)

    def issue(self, grant: Grant) -> str:
        token = f"sandbox-{secrets.token_urlsafe(32)}"
        self._grants[token] = grant
        return token

    def valid(self, token: str, now_s: float) -> Grant | None:
        grant = self._grants.get(token)
        return grant if grant is not None and now_s < grant.until_s else None

    def revoke_all(self) -> int:
        revoked = len(self._grants)
        self._grants.clear()
        return revoked


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The fields of a token request; what is absent is empty."""

    grant_type: str
    client_id: str
    client_secret: str
    scope: str

    @classmethod
    def read(cls, body: bytes) -> "TokenRequest":
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        return cls(*(form.get(name, "") for name in ("grant_type", "client_id", "client_secret", "scope")))


def grant(request: TokenRequest, clients: tuple[Credential, ...], until_s: float) -> Grant:
    """The grant, or RefusalError with an OAuth error body."""
    if request.grant_type != "client_credentials":
        raise oauth_error(400, "unsupported_grant_type")
    if Credential(request.client_id, request.client_secret) not in clients:
        raise oauth_error(401, "invalid_client")
    scopes = frozenset(request.scope.split())
    if not scopes or not scopes <= SCOPES:
        raise oauth_error(400, "invalid_scope")
    return Grant(request.client_id, scopes, until_s)


def token_answer(token: str, given: Grant, ttl_s: int, agent: str) -> Answer:
    return json_answer(
        200,
        {
            "scope": " ".join(sorted(given.scopes)),
            "token_type": "Bearer",
            "access_token": token,
            "expires_in": ttl_s,
            "refresh_token": secrets.token_urlsafe(32),
            "id_token": unsigned_jwt({"sub": given.client_id, "name": agent}),
        },
    )


def oauth_error(status: int, code: str) -> RefusalError:
    return RefusalError(json_answer(status, {"error": code}))


def unsigned_jwt(claims: dict[str, Any]) -> str:
    parts = [msgspec.json.encode(part) for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def check_scope(given: Grant, resource: Resource, method: str) -> None:
    """Raises RefusalError 403 when the token's scopes do not reach `method` on `resource`."""
    if given.scopes & FULL:
        return
    if method == "GET":
        allowed = {f"{verb}:{name}" for verb in ("read", "edit") for name in resource.scopes}
        if not resource.scopes or given.scopes & allowed:
            return
    elif given.scopes & {f"edit:{name}" for name in resource.scopes}:
        return
    raise empty(403)
