"""One simulated tenant: its settings, rows, tokens and budget."""

from dataclasses import dataclass, field

from sandbox.auth import Tokens
from sandbox.config import InstanceConfig
from sandbox.limits import RollingWindow
from sandbox.schema import Schema, stamp
from sandbox.state import Clock, Store, Values


@dataclass
class Instance:
    name: str
    config: InstanceConfig
    schema: Schema
    clock: Clock
    store: Store = field(init=False)
    tokens: Tokens = field(init=False)
    window: RollingWindow = field(init=False)
    control: Values = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tokens = Tokens()
        self.store = Store(self.clock, self.config.search_lag_s)
        self.window = RollingWindow(self.config.budget)

    def configure(self, config: InstanceConfig) -> None:
        """Puts `config` in force; a changed budget starts with an empty window, a revoked login ends all tokens."""
        if config.budget != self.config.budget:
            self.window = RollingWindow(config.budget)
        if config.login == "revoked":
            self.tokens.revoke_all()
        self.config = config
        self.store.search_lag_s = config.search_lag_s

    @property
    def main_contact_compulsory(self) -> bool:
        return self.config.main_contact_compulsory or self.control.get("clientMainContactCompulsary") is True

    def wipe(self) -> None:
        """Drops every row; ids start again."""
        self.store = Store(self.clock, self.config.search_lag_s)
        self.control = {}

    def now(self) -> str:
        return stamp(self.clock.now())
