"""How a command ends badly. Whatever is raised, a person sees one message and a script an exit code.

CommandFailed    the command ran and its answer is no: exit 1
BadInput         what was given can't be used: exit 2
"""

import difflib
from collections.abc import Iterable, Sequence

from schemas.envelope import Fault

OK = 0
FAILED = 1
BAD_INPUT = 2


class CommandFailed(Exception):
    """The command did its work and failed, or could not do it; the message says what to do next."""

    exit_code = FAILED


class BadInput(CommandFailed):
    """A file or an argument can't be used; the message names it, `faults` lists what is wrong in it."""

    exit_code = BAD_INPUT

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


def unknown(what: str, name: str, known: Iterable[str], otherwise: str) -> BadInput:
    """A name that isn't there: those that were probably meant, else what to do otherwise."""
    near = difflib.get_close_matches(name.lower(), sorted(known), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else otherwise
    return BadInput(f"there is no {what} {name!r}; {hint}")
