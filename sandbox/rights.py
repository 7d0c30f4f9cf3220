"""Rights that the application's agent lacks: Halo answers them with an empty 401 or 403, told by record type.

A rule without `id` refuses every request of its method to its resource. One with `id` refuses the request that
reads, saves or deletes that record; lists still show it.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from sandbox.errors import empty
from sandbox.resources import BY_PATH

Login = Literal["good", "revoked", "refused"]


class Denied(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One missing right; an empty method stands for all three."""

    resource: str
    method: Literal["", "GET", "POST", "DELETE"] = ""
    id: int | None = None
    status: Literal[401, 403] = 403

    def __post_init__(self) -> None:
        if self.resource.lower() not in {*BY_PATH, "control"}:
            raise ValueError(f"`{self.resource}` is no resource")

    def meets(self, resource: str, method: str, number: int | None) -> bool:
        return (
            self.resource.lower() == resource.lower()
            and self.method in {"", method}
            and self.id in {None, number}
        )


def check(denied: Sequence[Denied], resource: str, method: str, number: int | None = None) -> None:
    """Raises RefusalError with the first rule's status; `number` is the record, None = the resource as such."""
    for rule in denied:
        if rule.meets(resource, method, number):
            raise empty(rule.status)
