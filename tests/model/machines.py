"""State machines that tell how often each interesting class of history came up, and fail when one hardly did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

SHARE = 0.03
"""At least this share of the histories has to show each interesting class."""


class Machine(RuleBasedStateMachine):
    """A state machine that notes which classes each of its histories belongs to."""

    histories: ClassVar[Counter[str]]

    def __init_subclass__(cls) -> None:
        cls.histories = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.classes: set[str] = set()

    def saw(self, name: str) -> None:
        self.classes.add(name)

    def teardown(self) -> None:
        self.histories.update(self.classes | {"all"})


def run(machine: type[Machine], *, interesting: Collection[str], examples: int, steps: int) -> None:
    """Run the machine over the same histories each time; print how they are distributed.

    A history that fails is told as it was found: to look for a shorter one would outlast the test's time.
    """
    machine.histories.clear()
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    total = machine.histories["all"]
    shares = {name: machine.histories[name] / total for name in sorted(machine.histories) if name != "all"}
    print(f"{total} histories:", {name: f"{share:.0%}" for name, share in shares.items()})
    rare = {name: shares.get(name, 0.0) for name in interesting if shares.get(name, 0.0) < SHARE}
    assert not rare, f"under {SHARE:.0%} of the histories: {rare}"
