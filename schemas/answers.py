"""`question.answered`: a producer's own user answers a question of the hub's about one of the producer's records."""

from __future__ import annotations

from schemas.base import Id, Name, SourceData, Text
from schemas.targets import Kind


class QuestionAnswered(SourceData, frozen=True, kw_only=True):
    """An answer to a `decision.requested`. The event's subject is the id of the record that was asked about.

    It counts for the producer's own records alone, and stands until another answer comes.
    """

    kind: Kind
    """What the record is in Halo, as the question's `target` has it."""
    question: Id
    """The code of the question."""
    choice: Id
    """The answer: one of the choices, or the id of a Halo record where that was asked for."""
    scope: Text = ""
    """The scope of the record, as the question's `target` has it."""
    by: Name | None = None
    """Who answered."""
