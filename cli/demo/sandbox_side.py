"""The sandbox as only its owner sees it: rows as stored, the log of requests, and how to make it misbehave."""

import time
from types import TracebackType
from typing import Any, Self

import httpx

from cli.demo import goods
from cli.errors import CommandFailed

_RESOURCES = ("Client", "Site", "Users", "Item", "Opportunities", "Quotation", "Lookup")
State = dict[str, list[dict[str, Any]]]
QUOTE_STATUS_LOOKUP = 63
ONE_TIME_ITEM = {
    "id": 71,
    "name": goods.DOMAIN.name,
    "supplier_part_code": goods.DOMAIN.sku,
    "assetgroup_id": 4,
    "status": 14,
    "baseprice": 25,
    "isrecurringitem": False,
}
"""An item that recurs in the packaged fixture, as it is after somebody made it a one-time item in Halo."""


class SandboxSide:
    """The admin endpoints of a running sandbox, for one of its instances. Nothing asked here is a request to Halo."""

    def __init__(self, url: str, instance: str = "default") -> None:
        self._http = httpx.Client(base_url=f"{url}/_sandbox", timeout=60.0, trust_env=False)
        self._instance = instance

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def configure(self, settings: dict[str, Any]) -> None:
        """Settings of the instance, which is made if it isn't there."""
        self._ask("PUT", f"/instances/{self._instance}", json=settings)

    def load(self, rows: dict[str, Any]) -> None:
        """Puts rows as they are, in place of those with the same ids: what a person changed in Halo."""
        self._ask("POST", "/fixtures", json=rows)

    def load_text(self, fixture: str) -> None:
        """The same of a fixture file's text, which may hold settings too."""
        self._ask("POST", "/fixtures", params={"instance": self._instance}, content=fixture.encode())

    def state(self) -> State:
        """Every row of what the hub writes, and the code lists."""
        found: State = {}
        for name in _RESOURCES:
            found |= self._ask("GET", "/state", params={"resource": name})
        return found

    def everything(self) -> State:
        """Every row of every table of the instance, by the table's name."""
        found: State = self._ask("GET", "/state", params={"instance": self._instance})
        return found

    def quotes(self) -> int:
        """How many quotes are stored."""
        return len(self._ask("GET", "/state", params={"resource": "Quotation"})["Quotation"])

    def last_request(self) -> int:
        found: int = self._ask("GET", "/health")["last_request"]
        return found

    def requests(self, since: int, **query: str) -> list[dict[str, Any]]:
        """The log after a request's number, in its order."""
        found: list[dict[str, Any]] = self._ask("GET", "/requests", params={"since": since, **query})[
            "requests"
        ]
        return found

    def hold_answer(self, path: str, body: str, delay_s: float) -> None:
        """The next POST to `path` that contains `body` is stored at once, and answered only after `delay_s`."""
        rule = {"action": "slow", "method": "POST", "path": path, "body": body, "delay_s": delay_s}
        self._ask("POST", "/faults", json=rule)

    def wait_held(self, since: int, timeout_s: float) -> dict[str, Any] | None:
        """The request whose answer is held back, once it has come and is stored; None when it did not come in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for entry in self.requests(since, method="POST", path="^/Quotation$"):
                if entry.get("fault") == "slow":
                    return entry
            time.sleep(0.03)
        return None

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, path, **options)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise CommandFailed(f"the sandbox did not answer {method} {path}: {error}") from None
        return answer.json()
