"""Files become revisions on the log, once each and in order; everyone follows the log alone."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import structlog

from hub.bus.errors import PublishFailed
from hub.bus.records import Outgoing, Record
from hub.tenants.follower import RulesFollower
from hub.tenants.load import accept
from hub.tenants.publisher import SettingsPublisher, message
from schemas.control import SettingsChanged
from schemas.envelope import from_headers
from schemas.registry import decode
from tests.unit.tenants.files import MINIMAL

AT = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)


class Log:
    """A control topic in memory; `follow` brings a follower up to its end."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.refuses = False

    async def publish(self, outgoing: Sequence[Outgoing]) -> None:
        if self.refuses and outgoing:
            raise PublishFailed(len(outgoing), "test")
        for one in outgoing:
            self.append(one)

    def append(self, one: Outgoing) -> None:
        offset = len(self.records)
        self.records.append(Record(one.topic, 0, offset, 0, one.key, one.value, one.headers))

    def follow(self, follower: RulesFollower) -> None:
        for record in self.records:
            follower.apply(record)

    @property
    def changes(self) -> list[SettingsChanged]:
        return [decode(from_headers(record.headers).type, record.value or b"") for record in self.records]


class Place:
    """A directory of tenant files with its publisher."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = Log()
        self.follower = RulesFollower()
        self.publisher = self.new_publisher()
        self.stamp = 0

    def new_publisher(self) -> SettingsPublisher:
        return SettingsPublisher(self.directory, self.follower, self.log.publish, now=lambda: AT)

    def write(self, text: str, name: str = "acme.yaml") -> None:
        (self.directory / name).write_text(text)

    async def scan(self, *, follow: bool = True) -> int:
        count = await self.publisher.scan()
        if follow:
            self.log.follow(self.follower)
        return count


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_a_new_file_is_revision_one_and_an_unchanged_one_is_nothing(place: Place) -> None:
    place.write(MINIMAL)
    assert await place.scan() == 1
    place.write("# another comment\n" + MINIMAL)
    assert await place.scan() == 0
    rules = place.follower.get("acme")
    assert rules is not None
    assert (rules.sequence, rules.hash) == (1, accept(MINIMAL.encode()).hash)
    assert rules.rules.tenant == "acme"


async def test_a_change_and_a_change_back_are_three_revisions(place: Place) -> None:
    other = MINIMAL.replace("Opportunity", "Deal")
    for text in (MINIMAL, other, MINIMAL):
        place.write(text)
        assert await place.scan() == 1
    assert [change.sequence for change in place.log.changes] == [1, 2, 3]
    hashes = [change.hash for change in place.log.changes]
    assert hashes[0] == hashes[2] != hashes[1]
    assert len({dict(record.headers)["ce_id"] for record in place.log.records}) == 3


async def test_a_revision_is_not_published_twice_before_it_has_come_back(place: Place) -> None:
    place.write(MINIMAL)
    assert await place.scan(follow=False) == 1
    assert await place.scan(follow=False) == 0
    place.write(MINIMAL.replace("Opportunity", "Deal"))
    assert await place.scan(follow=False) == 1
    assert [change.sequence for change in place.log.changes] == [1, 2]


async def test_a_restart_publishes_nothing_that_the_log_has(place: Place) -> None:
    place.write(MINIMAL)
    await place.scan()
    place.publisher = place.new_publisher()
    assert await place.scan() == 0


async def test_what_kafka_did_not_take_is_published_at_the_next_scan(place: Place) -> None:
    place.write(MINIMAL)
    place.log.refuses = True
    with pytest.raises(PublishFailed):
        await place.scan()
    place.log.refuses = False
    assert await place.scan() == 1


async def test_an_invalid_file_keeps_the_last_good_revision_and_shouts_once(place: Place) -> None:
    place.write(MINIMAL)
    await place.scan()
    with structlog.testing.capture_logs() as logs:
        place.write(MINIMAL.replace("tenant: acme", "tenant: [acme"))
        assert await place.scan() == 0
        (place.directory / "acme.yaml").touch()
        assert await place.scan() == 0
    shouts = [line for line in logs if line["event"] == "settings.invalid"]
    assert [line["log_level"] for line in shouts] == ["error"]
    assert shouts[0]["file"] == "acme.yaml"
    assert place.publisher.invalid == {"acme.yaml"}
    rules = place.follower.get("acme")
    assert rules is not None
    assert rules.sequence == 1


async def test_another_address_of_halo_is_told_since_all_of_it_counts_as_new(place: Place) -> None:
    place.write(MINIMAL)
    await place.scan()
    with structlog.testing.capture_logs() as logs:
        place.write(MINIMAL.replace("client_id: 0b5a3f1e", "client_id: other"))
        await place.scan()
        place.write(MINIMAL.replace("https://acme.halopsa.com", "https://help.acme.example"))
        await place.scan()
    (told,) = [line for line in logs if line["event"] == "settings.another_halo"]
    assert (told["tenant"], told["before"], told["after"]) == (
        "acme",
        "acme.halopsa.com",
        "help.acme.example",
    )


async def test_a_second_file_of_a_tenant_is_not_used_and_says_so(place: Place) -> None:
    place.write(MINIMAL, "a.yaml")
    place.write(MINIMAL.replace("Opportunity", "Deal"), "b.yml")
    with structlog.testing.capture_logs() as logs:
        assert await place.scan() == 1
        assert await place.scan() == 0
    assert [line["file"] for line in logs if line["event"] == "settings.invalid"] == ["b.yml"]
    assert place.publisher.invalid == {"b.yml"}
    assert "Opportunity" in place.log.changes[0].text


async def test_what_is_invalid_is_so_until_it_is_corrected_or_gone(place: Place) -> None:
    place.write("tenant: [acme", "acme.yaml")
    place.write(MINIMAL.replace("acme", "other"), "other.yaml")
    await place.scan()
    assert place.publisher.invalid == {"acme.yaml"}
    place.write(MINIMAL, "acme.yaml")
    await place.scan()
    assert place.publisher.invalid == frozenset()
    place.publisher = SettingsPublisher(
        place.directory / "unmounted", place.follower, place.log.publish, now=lambda: AT
    )
    await place.scan()
    assert place.publisher.invalid == {"."}


async def test_hidden_and_other_files_are_no_tenants(place: Place) -> None:
    place.write(MINIMAL, ".acme.yaml")
    place.write(MINIMAL, "acme.yaml.bak")
    place.write(MINIMAL, "README.md")
    assert await place.scan() == 0


async def test_a_mounted_file_that_is_swapped_by_link_is_read_again(place: Place) -> None:
    old, new = place.directory / "..old", place.directory / "..new"
    for directory, text in ((old, MINIMAL), (new, MINIMAL.replace("Opportunity", "Opportunitx"))):
        directory.mkdir()
        (directory / "acme.yaml").write_text(text)
    link = place.directory / "acme.yaml"
    link.symlink_to(old / "acme.yaml")
    assert await place.scan() == 1
    link.unlink()
    link.symlink_to(new / "acme.yaml")
    assert await place.scan() == 1


def test_two_publishers_of_one_revision_make_one_message() -> None:
    accepted = accept(MINIMAL.encode())
    one, other = message(accepted, 1, AT), message(accepted, 1, AT + dt.timedelta(hours=1))
    assert from_headers(one.headers).id == from_headers(other.headers).id
    assert one.key == b"acme"


def test_of_two_revisions_with_one_sequence_everyone_takes_the_first() -> None:
    log = Log()
    log.append(message(accept(MINIMAL.encode()), 1, AT))
    log.append(message(accept(MINIMAL.replace("Opportunity", "Deal").encode()), 1, AT))
    follower = RulesFollower()
    log.follow(follower)
    log.follow(follower)
    rules = follower.get("acme")
    assert rules is not None
    assert rules.hash == accept(MINIMAL.encode()).hash


def test_followers_are_told_of_each_new_revision_after_it_is_there() -> None:
    follower = RulesFollower()
    seen: list[tuple[str, int]] = []
    follower.on_change(lambda tenant: seen.append((tenant, follower.revision(tenant)[0])))
    log = Log()
    log.append(message(accept(MINIMAL.encode()), 1, AT))
    log.append(message(accept(MINIMAL.replace("Opportunity", "Deal").encode()), 2, AT))
    log.follow(follower)
    log.follow(follower)
    assert seen == [("acme", 1), ("acme", 2)]
    assert follower.tenants() == ["acme"]
    assert follower.get("nobody") is None


def test_a_revision_of_a_newer_release_leaves_the_tenant_waiting_and_says_so_once() -> None:
    follower = RulesFollower()
    log = Log()
    accepted = accept(MINIMAL.encode())
    newer = msgspec.structs.replace(accepted, text=accepted.text.replace('"items"', '"itemz"'))
    log.append(message(newer, 4, AT))
    log.follow(follower)
    with structlog.testing.capture_logs() as logs:
        assert follower.get("acme") is None
        assert follower.get("acme") is None
    assert [line["event"] for line in logs] == ["settings.unreadable"]
    assert follower.revision("acme") == (4, accepted.hash)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 5_000, "null", '"acme"'])
def test_a_revision_that_is_no_table_stops_its_tenant_alone(text: str) -> None:
    """Whoever asks for a tenant's rules asks for those of others next."""
    follower = RulesFollower()
    accepted = accept(MINIMAL.encode())
    record = message(msgspec.structs.replace(accepted, text=text), 1, AT)
    follower.apply(Record(record.topic, 0, 0, 0, record.key, record.value, record.headers))
    assert follower.get("acme") is None


def test_what_is_no_settings_event_is_passed_over() -> None:
    follower = RulesFollower()
    good = message(accept(MINIMAL.encode()), 1, AT)
    for record in (
        Record(good.topic, 0, 0, 0, b"x", b"", ()),
        Record(good.topic, 0, 1, 0, b"x", b"{", good.headers),
        Record(good.topic, 0, 2, 0, b"x", None, good.headers),
    ):
        follower.apply(record)
    assert follower.tenants() == []
