"""Everything that this client raises; each message says what to do next.

    HaloError
    ├── ConfigurationError      a connection setting can't be used; nothing was sent
    ├── AuthError               no access token could be had; the data request was not sent
    │   ├── InvalidClient       Halo refuses the client id or secret: a person must look
    │   ├── InvalidScope        Halo knows no such scope: a person must look
    │   ├── AuthRefused         any other refusal by the authorization server: a person must look
    │   ├── AuthThrottled       the authorization server is limiting us: wait
    │   └── AuthUnreachable     the authorization server did not answer: try again later
    ├── GateClosed              the caller's own gate said no; nothing was sent
    └── ReadFailed              a read that must be whole could not be completed

What Halo answers to a data request is never raised, it is a `Reply` with an outcome. `AuthError`s end as a
`Reply` too; they are raised by the token source only.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from halo.reply import Reply

CLIENT_ID_HINT = (
    "application inactive or client id changed: Halo can change the client id unexpectedly. "
    "Compare client id and secret with the application in Halo "
    "(Configuration > Integrations > Halo API > View Applications); "
    "check that it is active and that its login agent exists"
)


class HaloError(Exception):
    """Root of this package's errors; its text never holds a secret."""


class ConfigurationError(HaloError):
    """A connection setting can't be used; `field` names it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class AuthError(HaloError):
    """No access token could be had, so the data request was not sent."""


class InvalidClient(AuthError):
    """Halo refuses the client id or secret; repeating can't help."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"Halo refused the sign-in ({detail}): {CLIENT_ID_HINT}")


class InvalidScope(AuthError):
    """Halo refuses the whole token because it knows one of the scopes not; repeating can't help."""

    def __init__(self, scopes: tuple[str, ...], detail: str) -> None:
        asked = " ".join(scopes)
        super().__init__(
            f"Halo refused the requested scopes ({detail}). Requested: {asked}. "
            "Remove the unknown scope, or grant it to the application in Halo "
            "(Configuration > Integrations > Halo API > View Applications > Permissions)"
        )
        self.scopes = scopes


class AuthRefused(AuthError):
    """The authorization server answered, but with no token; repeating can't help."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"the authorization server gave no token ({detail}). Compare authorization server and tenant "
            "with Configuration > Integrations > Halo API > API Details in Halo, and see that the "
            f"application method is 'Client ID and Secret (Services)'; else: {CLIENT_ID_HINT}"
        )


class AuthThrottled(AuthError):
    """The authorization server is limiting us; wait `retry_after_s` (None: a whole window)."""

    def __init__(self, retry_after_s: float | None) -> None:
        wait = "the rate limit's whole window" if retry_after_s is None else f"{retry_after_s:g} s"
        super().__init__(f"the authorization server is limiting requests (429): wait {wait}, then try again")
        self.retry_after_s = retry_after_s


class AuthUnreachable(AuthError):
    """The authorization server did not give a usable answer; a later try may."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"the authorization server can't be reached ({detail}): try again later; if it stays, "
            "check its address, DNS and the network"
        )


class GateClosed(HaloError):
    """The caller's gate refused, nothing was sent; try again after `retry_after_s` if it is given."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        wait = "" if retry_after_s is None else f"; try again in {retry_after_s:g} s"
        super().__init__(f"not sent: {reason}{wait}")
        self.reason = reason
        self.retry_after_s = retry_after_s


class ReadFailed(HaloError):
    """A read that must be whole failed; `reply` says how and decides what to do next."""

    def __init__(self, what: str, reply: "Reply") -> None:
        status = "no answer" if reply.status is None else f"status {reply.status}"
        detail = f": {reply.text}" if reply.text else ""
        super().__init__(f"{what} could not be read ({reply.outcome.value}, {status}){detail}")
        self.reply = reply
