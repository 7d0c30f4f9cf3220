"""Which of two commands of a target is the newer: the same answer in every release that reads them.

A sequence is written as the versions of the record's field groups, highest first, then the number of the tenant's
rules. What is missing is no part of the order, so that a release that knows another group neither changes what older
ones have written nor the ids of commands that have nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable

Seq = tuple[int, ...]
MISSING_VERSION = -1
_SLOTS = 3
"""So many versions are always written, as releases that compare sequences by place expect them."""


def sequence(versions: Iterable[int], rule_sequence: int) -> Seq:
    """The sequence of a record whose groups have these versions, under these rules."""
    highest_first = sorted(versions, reverse=True)
    missing = [MISSING_VERSION] * (_SLOTS - len(highest_first))
    return (*highest_first, *missing, rule_sequence)


def order_of(seq: Seq) -> tuple[Seq, Seq]:
    """What sequences are compared by, however many slots they were written with; an ensure's comes before all others.

    The versions decide, then the rules. Where one record has all that another has and at least as new, its sequence
    is no lower, and higher if anything of it is newer or more.
    """
    return tuple(version for version in seq[:-1] if version != MISSING_VERSION), seq[-1:]
