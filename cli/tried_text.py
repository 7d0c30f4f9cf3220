"""What sample events came to, for people: one tenant file by itself, or two of them compared line by line."""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from cli.events import print_faults
from cli.output import print_json, print_table, say
from cli.trying import Tried
from schemas.commands import TYPE_OF_KIND, Command, Field, Named, OrderLines
from schemas.targets import OUR_KEY_LENGTH, OUR_MARK, Target
from services.halo_writer.rehearsal import Sent
from services.ingest.problems import EventFault


class Line(NamedTuple):
    """One value of what an event came to, and where it stands."""

    at: str
    value: str

    def __str__(self) -> str:
        return f"{self.at}: {self.value}"


class Compared(NamedTuple):
    """One place under both files; None where a file leads to nothing there."""

    at: str
    this: str | None
    other: str | None

    @property
    def differs(self) -> bool:
        return self.this != self.other


def show(tried: Tried) -> None:
    """Prints the commands of an event, and the requests that they would lead to."""
    say(f"event {tried.event}: {tried.said}", style="bold")
    if tried.faults:
        print_faults([EventFault(fault.at, fault.problem) for fault in tried.faults])
    for command in tried.commands:
        rows = [(name, in_words(field.value), field.write) for name, field in _fields(command)]
        how = "create or adopt" if command.ensure else "create or update"
        title = f"{TYPE_OF_KIND[command.kind]}: {how} {command.target.kind} {command.target.id!r}"
        print_table(("field", "value", "write"), rows, title=title)
        for notice in command.notices:
            say(f"  note: {notice.message}", style="yellow")
    for question in tried.questions:
        say(f"  asked: {question.message} ({', '.join(question.choices)})", style="yellow")
    if tried.steps:
        say("what Halo would be sent, had it every name and none of the records:", style="bold")
    for step in tried.steps:
        if step.request is None:
            say(f"{step.target.kind} {step.target.id}: no request: {step.why}")
        else:
            say(_title(step.request))
            print_json(step.request.element)


def in_words(value: Any) -> str:
    """A field's value, where what only the writer resolves is named: another record, or a name of Halo's."""
    match value:
        case Target():
            return f"→ {value.kind} {value.id}"
        case Named():
            instead = "" if value.fallback is None else f", else {value.fallback!r}"
            left = "" if value.missing == "reject" else ", else left alone"
            return f"{value.lookup.replace('_', ' ')} {value.name!r}{instead}{left}"
        case tuple():
            return "\n".join(map(in_words, value))
        case msgspec.Struct():
            given = ((name, getattr(value, name)) for name in value.__struct_fields__)
            return ", ".join(
                f"{name}: {in_words(inner)}"
                for name, inner in given
                if inner not in (None, msgspec.UNSET, ())
            )
        case _:
            return str(value)


# Two files ----------------------------------------------------------------------------------------------------------


def compared(this: Tried, other: Tried) -> list[Compared]:
    """Every place that the event leads to under one file or the other, in the order in which they stand."""
    lines, others = list(_lines(this)), list(_lines(other))
    values, other_values = dict(lines), dict(others)
    places: list[str] = []
    steps = difflib.SequenceMatcher(None, list(values), list(other_values), autojunk=False).get_opcodes()
    for _, start, end, other_start, other_end in steps:
        found = (*list(values)[start:end], *list(other_values)[other_start:other_end])
        places += [at for at in dict.fromkeys(found) if at not in places]
    return [Compared(at, values.get(at), other_values.get(at)) for at in places]


def show_beside(titles: tuple[str, str], this: Sequence[Tried], other: Sequence[Tried]) -> None:
    """Prints both, side by side; what differs is marked."""
    for left, right in zip(this, other, strict=True):
        lines = compared(left, right)
        rows = [("≠" if line.differs else "", line.at, line.this, line.other) for line in lines]
        print_table(("", _event(left), *titles), rows)
        count = sum(line.differs for line in lines)
        say(f"{count} of {len(lines)} differ" if count else "the same under both", style="bold")


def unified(titles: tuple[str, str], this: Sequence[Tried], other: Sequence[Tried]) -> str:
    """Both as a unified diff of their lines; empty when there is no difference."""
    before, after = ([text for one in side for text in _texts(one)] for side in (this, other))
    return "".join(f"{line}\n" for line in difflib.unified_diff(before, after, *titles, n=2, lineterm=""))


def _texts(tried: Tried) -> Iterator[str]:
    yield _event(tried)
    yield from map(str, _lines(tried))


def _event(tried: Tried) -> str:
    return f"event {tried.event} ({tried.type} {tried.subject})"


def _lines(tried: Tried) -> Iterator[Line]:
    """Each place once: what has several commands in one event is numbered."""
    seen: Counter[str] = Counter()
    for line in _all_lines(tried):
        seen[line.at] += 1
        yield line if seen[line.at] == 1 else Line(f"{line.at} ({seen[line.at]})", line.value)


def _all_lines(tried: Tried) -> Iterator[Line]:
    """Where it stands says nothing of a target's scope, so that the same record compares however often it is made."""
    yield Line("result", tried.said)
    for fault in tried.faults:
        yield Line(f"fault · {fault.at}", fault.problem)
    names = _names([command.target for command in tried.commands])
    for command in tried.commands:
        name = names[command.target]
        if command.target.scope:
            yield Line(f"{name} · scope", command.target.scope)
        for at, text in _fields_in_words(command):
            yield Line(f"{name} · {at}", text)
        for number, notice in enumerate(command.notices, 1):
            yield Line(f"{name} · note {number}", notice.message)
    for question in tried.questions:
        yield Line(f"asked · {question.id}", f"{question.message} ({', '.join(question.choices)})")
    for step in tried.steps:
        if step.request is None:
            yield Line(f"no request · {names[step.target]}", step.why)
            continue
        where = f"{step.request.method} {step.request.path} · {names[step.target]}"
        yield Line(where, _how(step.request))
        for at, value in _flat(step.request.element):
            yield Line(f"{where} · {at}", _plain(value))


def _names(targets: Sequence[Target]) -> dict[Target, str]:
    """What each target is called; by its scope too where that alone tells it from another."""
    counts = Counter((target.kind, target.id) for target in dict.fromkeys(targets))
    return {
        target: f"{target.kind} {target.id}"
        + (f" ({target.scope})" if counts[target.kind, target.id] > 1 else "")
        for target in targets
    }


def _fields_in_words(command: Command) -> Iterator[tuple[str, str]]:
    for name, field in _fields(command):
        values = field.value if isinstance(field.value, tuple) else (field.value,)
        for number, value in enumerate(values, 1):
            at = f"{name} {number}" if len(values) > 1 else name
            yield at, " ".join(in_words(value).split()) + _when(field.write)


def _plain(value: Any) -> str:
    """As JSON; our keys follow from the target, and differ with its scope alone."""
    if isinstance(value, str) and value.startswith(OUR_MARK) and len(value) == OUR_KEY_LENGTH:
        return "<our key>"
    return msgspec.json.encode(value).decode()


def _fields(command: Command) -> Iterator[tuple[str, Field[Any]]]:
    """The fields that a command carries; a sales order's lines and accounts each for itself, as a quote's."""
    for name in command.state_fields():
        field = getattr(command, name)
        if not isinstance(field, Field):
            continue
        if isinstance(field.value, OrderLines):
            yield "lines", Field(value=field.value.lines, write=field.write)
            if field.value.accounts:
                yield "accounts", Field(value=field.value.accounts, write=field.write)
        else:
            yield name, field


def _when(write: str) -> str:
    return "" if write == "always" else f" [{write.replace('_', ' ')}]"


def _title(request: Sent) -> str:
    return f"{request.method} {request.path}: {_how(request)}"


def _how(request: Sent) -> str:
    matches = f" ({', '.join(request.matches)})" if request.matches else ""
    return f"{request.when}{matches}"


def _flat(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values inside a payload, each with the way to it."""
    inner: Iterator[tuple[Any, Any]]
    match value:
        case dict() if value:
            inner = iter(value.items())
        case list() if value:
            inner = iter(enumerate(value, 1))
        case _:
            yield at, value
            return
    for name, one in inner:
        yield from _flat(one, f"{at}.{name}" if at else str(name))
