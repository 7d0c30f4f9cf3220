"""A day of the demo takes as long as the machine needs, and what is left when nothing moves is told in words."""

from cli.demo.course import Patience
from cli.demo.log_side import Backlog


def test_a_slow_day_is_waited_for_as_long_as_less_and_less_is_left() -> None:
    patience = Patience(limit_s=90)

    slow = [patience.is_over(left, now) for left, now in ((9, 0), (8, 80), (8, 160), (7, 165), (9, 250))]

    assert slow == [False] * 5
    assert patience.is_over(8, 256), "what comes and goes is no progress"


def test_what_is_left_of_a_day_is_told_in_words() -> None:
    left = Backlog(events=0, commands=2, waiting=6, unpublished=1, reasons=("6 writer/limited",))

    assert str(left) == "0 events and 2 commands to go, 6 that wait (6 writer/limited), 1 to publish"
