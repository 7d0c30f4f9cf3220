"""Everything one sandbox process holds: instances, armed faults, the request log."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from sandbox import fixtures
from sandbox.config import DEFAULT_INSTANCE, RESERVED_NAMES, InstanceConfig, InstanceName, amended
from sandbox.faults import Faults
from sandbox.fixtures import Fixture
from sandbox.instance import Instance
from sandbox.log import RequestLog
from sandbox.schema import Schema
from sandbox.state import Clock


@dataclass
class World:
    """`fixture` is what a new instance starts with, on top of `config`."""

    schema: Schema
    fixture: Fixture | None = None
    config: InstanceConfig = field(default_factory=InstanceConfig)
    clock: Clock = field(default_factory=Clock)
    instances: dict[str, Instance] = field(default_factory=dict)
    faults: Faults = field(init=False)
    log: RequestLog = field(default_factory=RequestLog)

    def __post_init__(self) -> None:
        self.faults = Faults(self.clock)
        self.reset(DEFAULT_INSTANCE)

    def reset(self, name: str, *, blank: bool = False) -> Instance:
        """A fresh instance under `name`, replacing what was there; `blank` leaves the start fixture out."""
        config = self.config if self.fixture is None else self.fixture.configured(self.config)
        instance = Instance(name, config, self.schema, self.clock)
        if self.fixture is not None and not blank:
            fixtures.load(instance, self.fixture)
        self.instances[name] = instance
        return instance

    def configure(self, name: str, changes: dict[str, Any], *, blank: bool = False) -> Instance:
        """The instance with `changes` in force, made when new; raises msgspec.ValidationError."""
        if name != DEFAULT_INSTANCE:
            msgspec.convert(name, InstanceName)
            if name in RESERVED_NAMES or name.startswith("_"):
                raise msgspec.ValidationError(f"`{name}` cannot name an instance")
        known = self.instances.get(name)
        config = amended(known.config if known else self.config, changes)
        instance = known or self.reset(name, blank=blank)
        instance.configure(config if known else amended(instance.config, changes))
        return instance
