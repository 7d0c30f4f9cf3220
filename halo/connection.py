"""Where one Halo instance is and how to sign in to it, checked once and then frozen.

Halo shows two addresses under Configuration > Integrations > Halo API > API Details: the resource server
(data) and the authorization server (tokens). They may be different hosts.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from halo.errors import ConfigurationError
from halo.secret import Secret

# Where one reader of an address sees a backslash as part of the host, the next sees the end of it.
_HOST = re.compile(r"[\w.:-]*")
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Connection:
    """One Halo instance and the application that signs in; usable as it stands, or `ConfigurationError`.

    A blank tenant becomes None: the token call then has no `tenant` parameter at all.
    """

    resource_server: str
    authorization_server: str
    client_id: str
    client_secret: Secret
    tenant: str | None
    scopes: tuple[str, ...]

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "resource_server", _server("resource server", self.resource_server))
        set_(self, "authorization_server", _server("authorization server", self.authorization_server))
        set_(self, "client_id", self.client_id.strip())
        set_(self, "tenant", (self.tenant or "").strip() or None)
        set_(self, "scopes", tuple(scope.strip() for scope in self.scopes if scope.strip()))
        if not self.client_id:
            raise ConfigurationError("client id", "is empty; copy it from the application in Halo")
        if not self.client_secret:
            raise ConfigurationError(
                "client secret", "is empty; Halo shows it once, when the application is made"
            )
        if not self.scopes:
            raise ConfigurationError("scopes", "is empty; name at least one, for example all:standard")


def derive_servers(url: str) -> tuple[str, str]:
    """The resource server `<origin>/api` and authorization server `<origin>/auth` of a sign-in address.

    A bare domain will do: a missing scheme means https; path, query and fragment of a pasted page are
    dropped. Plain http is refused unless the host is this machine.
    """
    origin = _origin("url", _split("url", url))
    return f"{origin}/api", f"{origin}/auth"


def resolve_servers(
    url: str | None = None, resource_server: str | None = None, authorization_server: str | None = None
) -> tuple[str, str]:
    """The resource and the authorization server; an explicit one wins over the one derived from `url`."""
    resource, authorization = (resource_server or "").strip(), (authorization_server or "").strip()
    if not (resource and authorization):
        if not (url or "").strip():
            raise ConfigurationError("url", "is missing; give Halo's sign-in address, or both servers")
        derived = derive_servers(url or "")
        resource, authorization = resource or derived[0], authorization or derived[1]
    return _server("resource server", resource), _server("authorization server", authorization)


def _server(field: str, text: str) -> str:
    """The address without trailing slash; it keeps its path and may carry neither query nor fragment."""
    parts = _split(field, text)
    if parts.query or parts.fragment:
        raise ConfigurationError(
            field, "carries a query or fragment; give the bare address, and any tenant apart"
        )
    return _origin(field, parts) + parts.path.rstrip("/")


def _split(field: str, text: str) -> SplitResult:
    text = text.strip()
    if not text:
        raise ConfigurationError(field, "is empty; give Halo's address, for example https://acme.halopsa.com")
    if any(ch.isspace() or not ch.isprintable() for ch in text):
        raise ConfigurationError(field, "holds a space or control character; give one address")
    if "://" not in text:
        text = "https://" + text.lstrip("/")
    try:
        parts = urlsplit(text)
        _ = parts.port, (parts.hostname or "").encode("idna")
        if not _HOST.fullmatch(parts.hostname or ""):
            raise ValueError
    except ValueError:
        raise ConfigurationError(field, "is no web address; give one like https://acme.halopsa.com") from None
    return parts


def _origin(field: str, parts: SplitResult) -> str:
    host, scheme = parts.hostname or "", parts.scheme.lower()
    if not host:
        raise ConfigurationError(field, "names no host; give an address like https://acme.halopsa.com")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(field, "carries a user name or password; give the bare address")
    if scheme not in _DEFAULT_PORTS:
        raise ConfigurationError(field, f"uses {scheme}; Halo is reached by https")
    if scheme == "http" and not _is_loopback(host):
        raise ConfigurationError(field, f"plain http to {host} would send the secret unencrypted; use https")
    if _is_link_local(host):
        raise ConfigurationError(
            field, f"{host} is a link-local address, such as a machine's own secrets are at"
        )
    name = f"[{host}]" if ":" in host else host
    default_port = parts.port in (None, _DEFAULT_PORTS[scheme])
    return f"{scheme}://{name}" + ("" if default_port else f":{parts.port}")


def _is_link_local(host: str) -> bool:
    """Whether the host is such an address, also in the old spellings that the system's resolver takes."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, UnicodeError):
            return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
