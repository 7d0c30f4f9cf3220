"""Starts a sandbox as its own process and talks to its admin endpoints: the oracle of tests that write to Halo."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import httpx

from tests.support.processes import spawn, stop_pid

ROOT = Path(__file__).parents[2]
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"
START_TIMEOUT_S = 90.0


@dataclass
class SandboxProcess:
    """A running `python -m sandbox` on a free port; `url` is its address, `log` its output."""

    url: str
    pid: int
    log: Path

    def stop(self) -> None:
        stop_pid(self.pid)


def start_sandbox(
    directory: Path, *, fixture: Path | None = None, port: int = 0, tls: tuple[Path, Path] | None = None
) -> SandboxProcess:
    """Returns once it listens; its files go to `directory`. Without `fixture` it starts with the packaged one."""
    ready, log = directory / "sandbox.ready", directory / "sandbox.log"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--ready-file", str(ready)]
    if fixture is not None:
        command += ["--fixture", str(fixture)]
    if tls is not None:
        command += ["--tls-certificate", str(tls[0]), "--tls-key", str(tls[1])]
    process = spawn(command, log=log, detached=False, cwd=ROOT)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (ready.exists() and ready.read_text().endswith("\n")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the sandbox did not start: {log.read_text()}")
        time.sleep(0.02)
    return SandboxProcess(ready.read_text().strip(), process.pid, log)


def plain_client(base_url: str) -> httpx.Client:
    """A client for loopback addresses: no proxies, and no time spent on reading certificates.

    Connections are not kept: a server that closes an idle one just as it is used again looks like a failure.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=base_url, timeout=60.0, trust_env=False, verify=False, limits=limits)


@dataclass
class Sandbox:
    """One instance of a running sandbox, seen from the admin side."""

    url: str
    instance: str = "default"
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._http = plain_client(f"{self.url}/_sandbox")

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def resource_url(self) -> str:
        """What a tenant's settings call the resource server."""
        return f"{self.url}{self._prefix}/api"

    @property
    def auth_url(self) -> str:
        return f"{self.url}{self._prefix}/auth"

    @property
    def _prefix(self) -> str:
        return "" if self.instance == "default" else f"/{self.instance}"

    def named(self, instance: str, *, blank: bool = False, **config: Any) -> "Sandbox":
        """Another instance of the same process, made when new and configured."""
        other = Sandbox(self.url, instance)
        other.configure(blank=blank, **config)
        return other

    def configure(self, *, blank: bool = False, **config: Any) -> dict[str, Any]:
        """Settings as in `sandbox.config.InstanceConfig`, e.g. search_lag_s=1, budget={"limit": 5}."""
        query = {"blank": str(blank).lower()}
        answered: dict[str, Any] = self._send("PUT", f"/instances/{self.instance}", params=query, json=config)
        return answered

    def forget(self) -> None:
        """Drops a named instance; starts the default one afresh."""
        self._send("DELETE", f"/instances/{self.instance}")

    def load(self, rows: dict[str, Any], *, replace: bool = False) -> dict[str, int]:
        """Adds fixture rows by resource name; says how many by table."""
        query = self._query(replace=str(replace).lower())
        answered: dict[str, int] = self._send("POST", "/fixtures", params=query, json=rows)["loaded"]
        return answered

    def state(self, resource: str) -> list[dict[str, Any]]:
        """Every row as stored, also those that searches do not show yet."""
        answered: list[dict[str, Any]] = self._send("GET", "/state", params=self._query(resource=resource))[
            resource
        ]
        return answered

    def edit(self, resource: str, record: int, **fields: Any) -> dict[str, Any]:
        """A person changes fields of a record (None empties one): not logged, not counted. The row as stored."""
        query = self._query(resource=resource, id=record)
        answered: dict[str, Any] = self._send("PATCH", "/state", params=query, json=fields)
        return answered

    def remove(self, resource: str, record: int) -> None:
        """A person deletes a record: not logged, not counted."""
        self._send("DELETE", "/state", params=self._query(resource=resource, id=record))

    def counts(self, *, since: int = 0) -> dict[str, Any]:
        """{"rows": {table: n}, "requests": {"kinds", "calls", "statuses", "created", "updated", "deleted"}}."""
        answered: dict[str, Any] = self._send("GET", "/counts", params=self._query(since=since))
        return answered

    def requests(
        self,
        *,
        since: int = 0,
        kind: str = "api",
        method: str | None = None,
        path: str | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Log entries of this instance in order of arrival, the first `limit`; `path` is a regular expression."""
        query = self._query(since=since, kind=kind, method=method, path=path, limit=limit)
        answered: list[dict[str, Any]] = self._send("GET", "/requests", params=query)["requests"]
        return answered

    def last_request(self) -> int:
        """Number of the newest log entry of the whole process, for `since`."""
        answered: int = self._send("GET", "/health")["last_request"]
        return answered

    def arm(self, action: str, **rule: Any) -> int:
        """Arms one fault on this instance; the rule's fields are those of `sandbox.faults.FaultRule`."""
        return self._arm(action=action, **rule)

    def down(self, status: int | None = None, *, for_s: float | None = None) -> int:
        """Everything of this instance fails until disarmed or for `for_s` seconds: connections are closed at
        once, or a gateway's page with `status` (502, 503, 504) is answered. Returns the fault's id."""
        rule = {"action": "drop"} if status is None else {"action": "html", "status": status}
        return self._arm(**rule, on="all", times=0, for_s=for_s)

    def throttle_all(self, *, for_s: float | None = None, retry_after_s: float | None = None) -> int:
        """Everything of this instance is answered 429, until disarmed or for `for_s` seconds."""
        return self._arm(action="throttle", on="all", times=0, for_s=for_s, retry_after_s=retry_after_s)

    def chaos(
        self,
        rate: float,
        *actions: str | dict[str, Any],
        seed: int = 0,
        for_s: float | None = None,
        **rule: Any,
    ) -> int:
        """Each API call meets one of `actions` (none given: any at all) with probability `rate`, until disarmed
        or for `for_s` seconds. An action is a name, or {"action", "weight", "delay_s", "apply", "status", ...}.
        Returns the fault's id."""
        chaos = {"rate": rate, "seed": seed, "actions": list(actions)}
        return self._arm(chaos=chaos, for_s=for_s, **rule)

    def met(self, fault_id: int) -> dict[str, int]:
        """How often each action of an armed rule met a request."""
        answered: dict[str, int] = next(one["actions"] for one in self.faults() if one["id"] == fault_id)
        return answered

    def _arm(self, **rule: Any) -> int:
        sent = {"instance": self.instance, **rule}
        answered: int = self._send("POST", "/faults", json=sent)[0]["id"]
        return answered

    def faults(self) -> list[dict[str, Any]]:
        """Armed rules of all instances with `seen`, `met`, `actions` (how often each met) and `spent`."""
        answered: list[dict[str, Any]] = self._send("GET", "/faults")
        return answered

    def disarm(self, fault_id: int | None = None) -> None:
        """Disarms one rule, or all of all instances."""
        self._send("DELETE", "/faults" if fault_id is None else f"/faults/{fault_id}")

    def revoke_tokens(self) -> int:
        answered: int = self._send("POST", "/tokens/revoke", params=self._query())["revoked"]
        return answered

    def login(self, state: Literal["good", "revoked", "refused"]) -> None:
        """revoked: no token is valid and none is issued; refused: tokens are issued, each API call is 401."""
        self.configure(login=state)

    def deny(self, *rules: dict[str, Any]) -> None:
        """Takes rights away, e.g. {"resource": "Item", "method": "POST", "id": 51, "status": 401}; replaces the
        rules before it, so that `deny()` gives every right back."""
        self.configure(denied=list(rules))

    def token(self, scope: str = "all") -> str:
        """A bearer token, asked for as any client would."""
        form = {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scope": scope,
        }
        answer = self._http.post(f"{self.auth_url}/token", data=form)
        answer.raise_for_status()
        answered: str = answer.json()["access_token"]
        return answered

    def client(self, scope: str = "all") -> httpx.Client:
        """An httpx client of this instance's API, with a bearer token."""
        client = plain_client(self.resource_url)
        client.headers["Authorization"] = f"Bearer {self.token(scope)}"
        return client

    def _query(self, **more: Any) -> dict[str, Any]:
        return {"instance": self.instance, **{k: v for k, v in more.items() if v is not None}}

    def _send(self, method: str, path: str, **options: Any) -> Any:
        answer = self._http.request(method, path, **options)
        if answer.is_error:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()
