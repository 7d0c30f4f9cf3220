"""Commands of all releases have one order: what a store keeps compares rightly with what a later release sends."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ordering import MISSING_VERSION, Seq, order_of, sequence
from tools.compatibility import RELEASED

GROUPS = [f"group-{number}" for number in range(9)]
Versions = dict[str, int]


def written(versions: Versions, rules: int, release: int) -> Seq:
    """The sequence as a release writes it that knows the first `release` groups.

    Releases up to 0.1.0 gave each group that they knew a slot, also where it was missing.
    """
    known = [versions[name] for name in GROUPS[:release] if name in versions]
    padding = [MISSING_VERSION] * (release - len(known))
    return (*sorted(known, reverse=True), *padding, rules)


@st.composite
def growing(draw: st.DrawFn) -> tuple[Versions, Versions, int]:
    """A record before and after more of it has come, and how many groups the release knew that had it before."""
    older = draw(st.integers(1, len(GROUPS)))
    before = draw(st.dictionaries(st.sampled_from(GROUPS[:older]), st.integers(0, 6), min_size=1))
    after = {name: version + draw(st.integers(0, 2)) for name, version in before.items()}
    missing = [name for name in GROUPS if name not in before]
    more = st.dictionaries(st.sampled_from(missing), st.integers(0, 8)) if missing else st.just({})
    return before, after | draw(more), older


def test_a_record_that_has_grown_is_newer_whatever_releases_wrote_its_sequences() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=500, deadline=None)
    @given(growing(), st.integers(1, 3), st.integers(1, 3))
    def check(records: tuple[Versions, Versions, int], rules: int, rules_after: int) -> None:
        before, after, older = records
        old = order_of(written(before, rules, older))
        for seq in (sequence(after.values(), rules_after), written(after, rules_after, len(GROUPS))):
            new = order_of(seq)
            assert (new > old) if after != before else (new > old) == (rules_after > rules)
        assert order_of(sequence(before.values(), rules)) == old, "written anew it is neither newer nor older"
        seen["the same"] += after == before
        seen["a group more"] += after.keys() > before.keys()
        seen["of an older release"] += older < len(GROUPS)
        seen["older rules"] += after != before and rules_after < rules

    check()
    print(dict(seen))
    assert min(seen.values()) >= 0.05 * 500, seen


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(0, 99), st.lists(st.integers(0, 9), max_size=8))
def test_an_event_with_a_version_above_all_before_is_newest_under_any_rules(
    before: list[int], rules: int, after: list[int]
) -> None:
    newest = max(before, default=-1) + 1
    assert order_of(sequence([*after, newest], 1)) > order_of(sequence(before, rules))


def test_a_group_that_a_release_knows_and_a_record_lacks_changes_neither_sequence_nor_id() -> None:
    assert sequence([3, 3], 7) == (3, 3, -1, 7)
    assert sequence([2, 3, 3], 7) == (3, 3, 2, 7)
    assert sequence([2, 3, 1, 3], 7) == (3, 3, 2, 1, 7)


def test_the_rules_decide_only_between_equal_records_also_of_different_lengths() -> None:
    assert order_of((5, 5, 5, 2, 1)) > order_of((5, 5, 5, 9)), "more of the record, older rules"
    assert order_of((5, 5, 5, -1, -1, -1, -1, 9)) == order_of((5, 5, 5, 9))
    assert order_of((5, 5, -1, 3)) < order_of((5, 5, 0, 3)), "a first version of zero is more than none"


def test_an_ensure_comes_before_all_others() -> None:
    assert order_of(()) < order_of(sequence([], 0)) < order_of(sequence([0], 0))


@pytest.mark.parametrize("version", sorted(path.name for path in RELEASED.iterdir()))
def test_sequences_in_a_releases_messages_are_what_today_writes(version: str) -> None:
    messages = json.loads((RELEASED / version / "messages.json").read_text())
    found = [tuple(message["data"]["seq"]) for message in messages.values() if message["data"].get("seq")]
    assert found
    for *versions, rules in found:
        assert (*versions, rules) == sequence(versions, rules)
