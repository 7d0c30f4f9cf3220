"""How a command ends badly. Whatever is raised, a person sees one message and a script an exit code.

CommandFailed    the command ran and its answer is no: exit 1
BadInput         what was given can't be used: exit 2
"""

OK = 0
FAILED = 1
BAD_INPUT = 2


class CommandFailed(Exception):
    """The command did its work and failed, or could not do it; the message says what to do next."""

    exit_code = FAILED


class BadInput(CommandFailed):
    """A file or an argument can't be used; the message names it."""

    exit_code = BAD_INPUT
