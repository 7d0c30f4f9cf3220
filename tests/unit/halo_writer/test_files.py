"""The files of one lane: fetched beside its runner, few at a time, kept for a while, tried until a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from schemas.commands import AttachFile, FileSource
from services.halo_writer.fetch import Fetcher, FileUnreachable
from services.halo_writer.file_rules import Waits
from services.halo_writer.files import FileLimits, FileRoom, Files, Memory, wait_name
from services.halo_writer.kinds.base import NotYet, Refused, value_of
from services.halo_writer.work import Work, from_pending, pending_row
from tests.support.eventually import eventually
from tests.unit.halo_writer.build import Tool, work_of

pytestmark = pytest.mark.feature("file.by_reference", part="writer")

TOOL = Tool()
HOSTS = ("files.quoter.example", "cdn.quoter.example")
WAITS = Waits(first_s=5.0, most_s=100.0, deadline_s=1000.0)


class Held(Fetcher):
    """Fetches end when the test says so, and how."""

    def __init__(self) -> None:
        async def nowhere(host: str) -> list[object]:
            raise AssertionError(host)

        super().__init__(nowhere, None)  # type: ignore[arg-type]
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Future[bytearray]] = {}

    async def fetch(self, file: FileSource, hosts: Collection[str]) -> bytearray:
        self.begun.append(file.url)
        self.ends[file.url] = asyncio.get_running_loop().create_future()
        return await self.ends[file.url]


@dataclass
class Place:
    """One lane's files, a clock that stands, and how often the lane was woken."""

    limits: FileLimits = field(default_factory=FileLimits)
    memory: int = 10_000_000
    now: float = 1000.0
    moved: int = 0

    def __post_init__(self) -> None:
        self.fetcher = Held()
        self.shared = Memory(self.memory)
        self.room = FileRoom(self.fetcher, self.limits, self.shared)
        self.files = Files(self.room, WAITS, now=lambda: self.now, moved=self._woken)

    def _woken(self) -> None:
        self.moved += 1

    def ask(self, work: Work) -> bytearray:
        command = work.command
        assert isinstance(command, AttachFile)
        name, file = value_of(command.name), value_of(command.file)
        return self.files.content(work, name, file, HOSTS)

    def not_yet(self, work: Work) -> NotYet:
        with pytest.raises(NotYet) as caught:
            self.ask(work)
        return caught.value

    async def ends(self, work: Work, how: bytes | Exception) -> None:
        command = work.command
        assert isinstance(command, AttachFile)
        url = value_of(command.file).url
        await eventually(lambda: url in self.fetcher.ends)
        future, before = self.fetcher.ends.pop(url), self.moved
        if isinstance(how, Exception):
            future.set_exception(how)
        else:
            future.set_result(bytearray(how))
        await eventually(lambda: self.moved > before)


def file(number: int = 1, **changes: object) -> Work:
    content = f"%PDF-1.7 number {number}".encode()
    url = f"https://files.quoter.example/{number}.pdf"
    return work_of(TOOL.attachment(content, f"q-{number}", **({"url": url} | changes)))  # type: ignore[arg-type]


async def test_a_command_waits_for_its_file_by_name_and_is_woken_when_it_is_here() -> None:
    place, work = Place(), file()
    waits = place.not_yet(work)
    assert (waits.reason, waits.waits_for) == ("file", wait_name(work.target_key))
    assert waits.not_before >= place.now + place.fetcher.patience.total_s, (
        "its fetch has surely ended by then"
    )
    assert place.files.here() == []
    await place.ends(work, b"the file")
    assert place.files.here() == [wait_name(work.target_key)]
    assert place.ask(work) == b"the file"
    assert place.ask(work) == b"the file", "it stays until it is sent"
    assert len(place.fetcher.begun) == 1
    place.files.forget(work)
    assert (place.files.in_hand, place.files.here()) == (0, [])


async def test_what_is_refused_is_refused_at_once_and_nothing_is_fetched() -> None:
    place = Place()
    for work in (
        file(url="https://elsewhere.example/1.pdf"),
        file(size=10**12),
        file(media_type="text/html"),
        file(name="a.exe"),
    ):
        with pytest.raises(Refused):
            place.ask(work)
    assert place.fetcher.begun == []


async def test_a_file_that_can_not_be_had_is_tried_at_growing_distances_and_refused_at_the_deadline() -> None:
    place, work, tries = Place(), file(), []
    while place.now < 2000:
        place.not_yet(work)
        await place.ends(work, FileUnreachable("its host answered 503"))
        waits = place.not_yet(work)
        assert "503" in str(waits)
        tries.append(waits.not_before - place.now)
        place.now = waits.not_before
    place.not_yet(work)
    await place.ends(work, FileUnreachable("its host answered 503"))
    with pytest.raises(Refused, match="503") as refused:
        place.ask(work)
    assert refused.value.code == "file.unreachable"
    assert tries[:4] == [5, 5, 10, 20]
    assert max(tries) == 100
    assert place.files.in_hand == 0


async def test_since_when_a_file_failed_outlives_the_process() -> None:
    """Else each restart would begin the deadline anew."""
    place, work = Place(), file()
    place.not_yet(work)
    await place.ends(work, FileUnreachable("gone"))
    place.not_yet(work)
    row = pending_row(work, reason="file", now=place.now, not_before=place.now + 5)
    after = from_pending(row)
    assert after.failing_since == 1000.0
    place.now = 2100.0
    place.not_yet(after)
    await place.ends(after, FileUnreachable("gone"))
    with pytest.raises(Refused):
        place.ask(after)


async def test_what_must_not_be_had_is_refused_without_another_try() -> None:
    place, work = Place(), file()
    place.not_yet(work)
    await place.ends(work, Refused("file.changed", "other bytes"))
    with pytest.raises(Refused, match="other bytes"):
        place.ask(work)
    assert place.files.in_hand == 0


async def test_a_new_address_of_the_same_content_takes_the_place_of_the_old_one() -> None:
    """A quote that is published again may carry a new signature."""
    place, work = Place(), file()
    again = file(url="https://files.quoter.example/1.pdf?sig=new")
    assert again.target_key == work.target_key
    place.not_yet(work)
    place.not_yet(again)
    await place.ends(again, b"the file")
    assert place.ask(again) == b"the file"
    assert place.files.in_hand == 1


async def test_one_tenant_fetches_few_at_a_time_and_the_others_come_one_after_the_other() -> None:
    place = Place(FileLimits(at_once=2, turn_s=0.5))
    works = [file(number) for number in range(6)]
    waits = [place.not_yet(work) for work in works]
    assert [wait.waits_for is not None for wait in waits] == [True, True, False, False, False, False]
    assert [wait.not_before - place.now for wait in waits[2:]] == [0.5, 1.0, 1.5, 2.0]
    assert all(wait.reason == "file" for wait in waits)
    await eventually(lambda: len(place.fetcher.begun) == 2)
    await place.ends(works[0], b"first")
    place.ask(works[0])
    place.files.forget(works[0])
    assert place.not_yet(works[2]).waits_for is not None


async def test_a_host_that_hangs_leaves_a_turn_to_files_from_elsewhere() -> None:
    place = Place()
    hanging = [file(number) for number in range(6)]
    waits = [place.not_yet(work) for work in hanging]
    assert [wait.waits_for is not None for wait in waits] == [True, True, True, False, False, False]
    assert place.not_yet(file(7, url="https://cdn.quoter.example/7.pdf")).waits_for is not None
    behind = place.not_yet(file(8, url="https://cdn.quoter.example/8.pdf"))
    assert behind.waits_for is None
    assert behind.not_before == place.now + place.limits.turn_s, "it waits behind no file of the other host"


async def test_a_tenant_whose_hosts_hang_leaves_room_to_the_others() -> None:
    """Room is taken for what a file is said to have, before a byte of it comes."""
    one = Place(memory=4 * 4 * 1_000_000)
    large = [file(number, size=1_000_000) for number in range(3)]
    assert [one.not_yet(work).waits_for is not None for work in large] == [True, True, False]
    other = Files(one.room, WAITS, now=lambda: one.now, moved=lambda: None)
    command = large[2].command
    assert isinstance(command, AttachFile)
    with pytest.raises(NotYet) as caught:
        other.content(large[2], value_of(command.name), value_of(command.file), HOSTS)
    assert caught.value.waits_for is not None
    await other.close()
    await one.files.close()


async def test_what_all_tenants_hold_of_files_is_bounded() -> None:
    one = Place(memory=file().command.file.value.size * 4 + 10)  # type: ignore[attr-defined]
    other = Files(one.room, WAITS, now=lambda: one.now, moved=lambda: None)
    first, second = file(1), file(2)
    one.not_yet(first)
    command = second.command
    assert isinstance(command, AttachFile)
    with pytest.raises(NotYet) as caught:
        other.content(second, value_of(command.name), value_of(command.file), HOSTS)
    assert caught.value.waits_for is None
    await one.ends(first, b"x")
    one.files.forget(first)
    with pytest.raises(NotYet) as caught:
        other.content(second, value_of(command.name), value_of(command.file), HOSTS)
    assert caught.value.waits_for is not None
    await other.close()


async def test_a_file_that_nobody_comes_for_is_not_kept() -> None:
    place, work = Place(FileLimits(keep_s=0.01)), file()
    place.not_yet(work)
    await place.ends(work, b"the file")
    await eventually(lambda: place.files.in_hand == 0)
    assert place.shared.take(place.memory)


async def test_the_end_of_a_term_ends_its_fetches_and_gives_their_room_back() -> None:
    place = Place()
    for number in range(3):
        place.not_yet(file(number))
    await eventually(lambda: len(place.fetcher.begun) == 3)
    await place.files.close()
    assert place.files.in_hand == 0
    assert place.shared.take(place.memory)
    assert all(future.cancelled() for future in place.fetcher.ends.values())
