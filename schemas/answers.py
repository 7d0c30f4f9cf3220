"""`question.answered`: a producer's own user answers a question of the hub's about one of the producer's records."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.base import Id, Name, SourceData, Text
from schemas.targets import PICKED, Kind

EXISTS, MISSING, GONE = "won.opp.exists", "won.opp.missing", "opportunity.gone"
SEVERAL, UNPROVEN = "match.several", "create.unproven"
HALO_ID = "the id of a Halo record"
NEW = "new"
ANSWERS: Mapping[str, tuple[str, ...]] = {
    EXISTS: ("convert", "leave"),
    MISSING: ("create", "skip"),
    GONE: (NEW,),
    SEVERAL: (NEW, HALO_ID),
    UNPROVEN: (HALO_ID,),
}
"""The questions that there are, and what may be answered to each."""
_ABOUT: Mapping[str, Kind] = {EXISTS: "quote", MISSING: "quote", GONE: "opportunity"}
_MOST_ID = 2**31


def fits(question: str, choice: str) -> bool:
    """Whether this can be an answer to the question, whichever record was asked about."""
    answers = ANSWERS.get(question, ())
    if choice in answers:
        return choice != HALO_ID
    return HALO_ID in answers and choice.isascii() and choice.isdigit() and 0 < int(choice) < _MOST_ID


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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.question not in ANSWERS:
            raise ValueError(f"`question` is none of {', '.join(ANSWERS)}")
        if not fits(self.question, self.choice):
            raise ValueError(f"`choice` is no answer to {self.question}: {', '.join(ANSWERS[self.question])}")
        about = _ABOUT.get(self.question, self.kind)
        if self.kind != about:
            raise ValueError(f"`kind` is {about} where {self.question} is answered")
        if self.question == GONE and not self.scope.startswith(PICKED):
            raise ValueError(f"`scope` is that of the opportunity which was asked about: {PICKED}<its id>")
