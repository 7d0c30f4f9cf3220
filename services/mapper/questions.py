"""Questions that only a person can answer, as values: what is asked, of which record, and what may be answered.

A question is asked again by every mapping of the same state, and has the same identity each time: (target, id). What
an answer changes is a part of the desired state, so that it needs no memory of having been asked.
"""

from __future__ import annotations

import msgspec

from schemas.commands import Notice
from schemas.targets import Target


class Question(msgspec.Struct, frozen=True):
    """One question. `id` names it within `target`, the record whose step waits for the answer."""

    id: str
    target: Target
    message: str
    choices: tuple[str, ...]


def as_notice(question: Question) -> Notice:
    """The question as it shows with the outcome of its target's command."""
    return Notice(code=question.id, message=f"{question.message} ({', '.join(question.choices)})")
