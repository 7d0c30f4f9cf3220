"""Who may publish over HTTP, and what: `producers.yaml`, followed while it changes.

    producers:
      - name: quoter                      # the `source` of its events is /quoter
        token_sha256: [<64 hex digits>]   # several while a token is being rotated
        tenants: [acme, northwind]        # or "*"
        types: [quote.published.v1]       # or "*"

The file holds hashes only; a token is never stored. Errors: ProducersInvalid, which names what to correct.
"""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hub.tenants.load import RulesInvalid, plain_yaml
from schemas.envelope import Envelope, Fault

_log = structlog.get_logger(__name__)

_TokenHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# The star stands alone or not at all: no name in a list is a pattern.
_Tenants = Literal["*"] | frozenset[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]]
_Types = Literal["*"] | frozenset[Annotated[str, Field(pattern=r"^[a-z0-9._-]{1,100}$")]]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class ProducersInvalid(Exception):
    """The producers file can't be used; correct what the text names."""


class Producer(BaseModel):
    """One producer and its rights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    token_sha256: Annotated[tuple[_TokenHash, ...], BeforeValidator(_as_list), Field(min_length=1)]
    tenants: _Tenants
    types: _Types

    def denied(self, envelope: Envelope) -> tuple[Fault, ...]:
        """What of this event the producer has no right to publish."""
        faults = []
        if envelope.source != f"/{self.name}":
            faults.append(Fault("source", f"must be '/{self.name}', the producer that this token belongs to"))
        if self.tenants != "*" and envelope.tenant not in self.tenants:
            faults.append(Fault("tenant", f"{self.name} may not publish for tenant {envelope.tenant!r}"))
        if self.types != "*" and envelope.type not in self.types:
            faults.append(Fault("type", f"{self.name} may not publish {envelope.type!r}"))
        return tuple(faults)


class Producers(BaseModel):
    """All producers of one version of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    producers: tuple[Producer, ...]

    def of_token(self, token: str) -> Producer | None:
        """The producer that a Bearer token belongs to; takes the same time whether and where it is found."""
        given = hashlib.sha256(token.encode()).hexdigest()
        found: Producer | None = None
        for producer in self.producers:
            for known in producer.token_sha256:
                if hmac.compare_digest(given, known):
                    found = producer
        return found


def parse(source: bytes) -> Producers:
    """The producers in a file. Raises ProducersInvalid with every fault, none of which quotes the file.

    A token put where its hash or its key belongs must not reach a log.
    """
    try:
        read = Producers.model_validate(plain_yaml(source))
    except RulesInvalid as error:
        raise ProducersInvalid(str(error)) from None
    except ValidationError as error:
        raise ProducersInvalid("; ".join(map(_fault, error.errors(include_input=False)))) from None
    _refuse_twice("name", [producer.name for producer in read.producers])
    _refuse_twice("token", [known for producer in read.producers for known in producer.token_sha256])
    return read


def _fault(error: Any) -> str:
    path = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        known = Producer.model_fields if len(path) > 1 else Producers.model_fields
        return f"{'.'.join(path[:-1]) or 'file'}: has a key that is no setting; there are {', '.join(known)}"
    return f"{'.'.join(path)}: {error['msg']}"


def _refuse_twice(what: str, values: list[str]) -> None:
    twice = {value for value in values if values.count(value) > 1}
    if twice:
        shown = f" ({', '.join(sorted(twice))})" if what == "name" else ""
        raise ProducersInvalid(f"two producers have the same {what}{shown}")


class ProducersFile:
    """The last good version of the file; it is looked at again at most once in `every_s`.

    Invariants:
    * a file that can't be read or is invalid changes nothing and is reported once for each version of it.
    """

    def __init__(self, path: Path, clock: Callable[[], float], *, every_s: float = 1.0) -> None:
        """Reads the file. Raises ProducersInvalid, also when it is not there."""
        self._path = path
        self._clock = clock
        self._every_s = every_s
        self._look_at = clock() + every_s
        self._refused = False
        self._seen = self._version()
        self._current = self._read()

    def current(self) -> Producers:
        """The producers to judge a request by, now."""
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + self._every_s
            version = self._version()
            if version != self._seen:
                self._seen = version
                self._reload()
        return self._current

    def is_refused(self) -> bool:
        """Whether the file as it is now can't be used."""
        self.current()
        return self._refused

    def _reload(self) -> None:
        self._refused = False
        try:
            self._current = self._read()
        except ProducersInvalid as error:
            self._refused = True
            _log.error(
                "producers.refused", file=str(self._path), problem=str(error), kept="last good version"
            )
        else:
            _log.info("producers.loaded", file=str(self._path), producers=len(self._current.producers))

    def _read(self) -> Producers:
        try:
            return parse(self._path.read_bytes())
        except OSError as error:
            raise ProducersInvalid(f"{self._path} can't be read: {error.strerror}") from None
        except ProducersInvalid as error:
            raise ProducersInvalid(f"{self._path}: {error}") from None

    def _version(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
