"""What can be set on a sandbox and on each of its instances."""

from typing import Annotated, Any, Literal

import msgspec

from sandbox.resources import BY_PATH
from sandbox.rights import Denied, Login

DEFAULT_INSTANCE = "default"
InstanceName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
RESERVED_NAMES = frozenset({"api", "auth", DEFAULT_INSTANCE})

Arrays = Literal["partial", "atomic", "single_only"]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    client_id: str
    client_secret: str


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`limit` API calls in any `window_s` seconds; limit 0 means no limit."""

    limit: Annotated[int, msgspec.Meta(ge=0)] = 300
    window_s: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    retry_after: bool = False


class InstanceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tenant's settings; every default is the plainest tenant.

    login: revoked = no token is valid and the credentials are refused (`invalid_client`); refused = tokens are
    issued, but the agent they stand for cannot log in: every API call is answered 401.
    denied: rights that the agent lacks, by resource, method and record.
    search_lag_s: a new record is missing from lists and searches for so long (GET by id sees it at once).
    latency_s: added to every API call.
    external_link_on_write: off = `new_external_link` in a POST is ignored, as tenants without it may do.
    main_contact_compulsory: a client cannot be created without `newclient_contactname`.
    arrays: what an array POST of several elements comes to when one is refused, for all resources or by
        resource (one not named: partial). partial = the elements before it stay stored, atomic = they are taken
        back, single_only = more than one element is refused as such. The answer is the refused element's.
    array_answer: all = several saved records are answered in order, one = only the first is, as an object.
    row_limit: rows that a list without paging is cut to, silently.
    advanced_search: per resource, the fields that `advanced_search` may name.
    """

    clients: tuple[Credential, ...] = (Credential("sandbox-client", "sandbox-secret"),)
    login: Login = "good"
    denied: tuple[Denied, ...] = ()
    token_ttl_s: Annotated[int, msgspec.Meta(gt=0)] = 3600
    budget: Budget = Budget()
    search_lag_s: NotNegative = 0.0
    latency_s: NotNegative = 0.0
    external_link_on_write: bool = True
    main_contact_compulsory: bool = False
    arrays: Arrays | dict[str, Arrays] = "partial"
    array_answer: Literal["all", "one"] = "all"
    row_limit: Annotated[int, msgspec.Meta(gt=0)] = 1000
    default_tax_id: int = 1
    agent_id: int = 1
    advanced_search: dict[str, tuple[str, ...]] = msgspec.field(
        default_factory=lambda: {"Users": ("azureoid",)}
    )

    def __post_init__(self) -> None:
        if isinstance(self.arrays, dict) and not {name.lower() for name in self.arrays} <= BY_PATH.keys():
            raise ValueError(f"`arrays` must name resources: {', '.join(self.arrays)}")

    def arrays_of(self, resource: str) -> Arrays:
        if isinstance(self.arrays, str):
            return self.arrays
        return {name.lower(): mode for name, mode in self.arrays.items()}.get(resource.lower(), "partial")


def amended(config: InstanceConfig, changes: dict[str, Any]) -> InstanceConfig:
    """`config` with `changes` laid over it, `budget` field by field; raises msgspec.ValidationError."""
    merged = msgspec.to_builtins(config)
    for name, value in changes.items():
        if name == "budget" and isinstance(value, dict):
            merged["budget"] = {**merged["budget"], **value}
        else:
            merged[name] = value
    return msgspec.convert(merged, InstanceConfig)
