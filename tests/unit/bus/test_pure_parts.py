"""The bus's decisions that need no broker."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from faststream import AckPolicy
from faststream.kafka.subscriber.usecase import BatchSubscriber
from faststream.security import BaseSecurity, SASLPlaintext
from hypothesis import given
from hypothesis import strategies as st

from hub.bus.broker import make_broker
from hub.bus.consumer import Consumer
from hub.bus.delivery import Delivery
from hub.bus.errors import RecordInvalid, RecordTooLarge
from hub.bus.health import ConsumerHealth
from hub.bus.positions import lags, mismatches
from hub.bus.producer import check_record, partition_of, record_size
from hub.bus.records import Outgoing, Partition
from hub.bus.salvage import parse_records
from hub.bus.settings import BusSettings, client_options

P0 = Partition("t", 0)
Parts = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]

HEADERS = st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=40)), max_size=6)


def batch_of(records: Sequence[Parts], *, codec: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=10_000_000,
    )
    for number, (key, value, headers) in enumerate(records):
        assert builder.append(number, 1_000 + number, key, value, headers) is not None
    return bytes(builder.build())


@given(
    st.lists(
        st.tuples(st.none() | st.binary(max_size=30), st.none() | st.binary(max_size=300), HEADERS),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([0, 1]),
)
def test_salvage_reads_a_batch_as_it_was_written(records: list[Parts], codec: int) -> None:
    data = batch_of(records, codec=codec)
    read = list(parse_records(data + data[: len(data) // 2], TopicPartition("t", 3)))
    assert [(r.key, r.value, list(r.headers)) for r in read] == records
    assert [(r.offset, r.timestamp, r.partition) for r in read] == [
        (number, 1_000 + number, 3) for number in range(len(records))
    ]


def test_salvage_leaves_control_batches_out() -> None:
    data = bytearray(batch_of([(b"k", b"v", [])]))
    (attributes,) = struct.unpack_from(">h", data, 21)
    struct.pack_into(">h", data, 21, attributes | 0x20)
    assert list(parse_records(bytes(data), TopicPartition("t", 0))) == []


def test_salvage_keeps_the_bytes_of_a_header_name_that_is_not_text() -> None:
    data = batch_of([(b"k", b"v", [("zz", b"1")])]).replace(b"zz", b"\xff\xfe")
    (record,) = parse_records(data, TopicPartition("t", 0))
    ((name, value),) = record.headers
    assert (name.encode("utf-8", "surrogateescape"), value) == (b"\xff\xfe", b"1")


@given(st.binary(min_size=1, max_size=40), st.integers(1, 64))
def test_a_key_goes_where_every_standard_client_sends_it(key: bytes, count: int) -> None:
    partitions = list(range(count))
    assert partition_of(key, count) == DefaultPartitioner()(key, partitions, partitions)


@given(st.none() | st.binary(max_size=50), st.binary(max_size=500), HEADERS)
def test_record_size_is_an_upper_bound_of_what_is_sent(
    key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    record = Outgoing("t", key, value, tuple(headers))
    assert record_size(record) >= len(batch_of([(key, value, headers)]))


def test_a_record_over_the_limit_is_refused() -> None:
    with pytest.raises(RecordTooLarge, match="exceeds the limit of 1000") as refused:
        check_record(Outgoing("t", b"k", b"x" * 1000), 1000)
    assert refused.value.size_bytes > 1000


@pytest.mark.parametrize(
    "record",
    [Outgoing("t", None, None), Outgoing("t", b"k", b"v", (("\udcff", b"1"),))],
    ids=["neither key nor value", "header name is not text"],
)
def test_a_record_that_kafka_cannot_carry_is_refused(record: Outgoing) -> None:
    with pytest.raises(RecordInvalid):
        check_record(record, 1000)


@pytest.mark.parametrize(
    ("stored", "committed", "end", "expected"),
    [
        (100, 100, 200, []),
        (100, 150, 200, []),
        (100, 95, 200, []),
        (9, None, 200, []),
        (100, 20, 200, ["t[0] is committed at 20, the store has 100"]),
        (100, None, 200, ["t[0] has no committed offset, the store has 100"]),
        (100, 100, 10, ["t[0] ends at 10, before the store's 100"]),
    ],
)
def test_a_start_far_from_the_stored_position_is_named(
    stored: int, committed: int | None, end: int, expected: list[str]
) -> None:
    assert mismatches({P0: stored}, {P0: committed}, {P0: end}, distance=10) == expected


def test_a_partition_that_is_gone_is_named() -> None:
    assert mismatches({P0: 5}, {}, {}, distance=10) == ["t[0] does not exist, the store has 5"]


def test_a_first_start_matches_whatever_kafka_has() -> None:
    assert mismatches({}, {P0: 500}, {P0: 900}, distance=10) == []


@pytest.mark.parametrize(
    ("stored", "committed", "expected"),
    [
        ({P0: 100}, 100, []),
        ({P0: 101}, 100, []),
        ({P0: 99}, 100, ["t[0] is committed at 100, the store has 99"]),
        ({}, 100, ["t[0] is committed at 100, the store has nothing"]),
        ({P0: 100}, None, []),
        ({}, None, []),
        ({}, 0, []),
    ],
)
def test_a_store_behind_kafka_by_one_is_named(
    stored: dict[Partition, int], committed: int | None, expected: list[str]
) -> None:
    assert lags(stored, {P0: committed}) == expected


def test_a_drain_longer_than_the_rebalance_is_refused() -> None:
    with pytest.raises(ValueError, match="revoke_drain_s"):
        BusSettings(bootstrap_servers="x", client_id="x", revoke_drain_s=30.0, rebalance_timeout_ms=30_000)


def test_security_reaches_every_client() -> None:
    options = client_options("x:1", security=SASLPlaintext("user", "secret", use_ssl=False))
    assert options["security_protocol"] == "SASL_PLAINTEXT"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("user", "secret")
    assert client_options("x:1", security=BaseSecurity(use_ssl=True))["security_protocol"] == "SSL"


HEALTHY = ConsumerHealth(
    phase="polling",
    tick_age_s=0.1,
    handling_age_s=None,
    assigned=(P0,),
    paused=(),
    lag={},
    unsettled=0,
    oldest_unsettled_age_s=None,
    commits=0,
    commit_failures=0,
    poll_error=None,
    failure=None,
)


@pytest.mark.parametrize(
    ("health", "live", "ready"),
    [
        (HEALTHY, True, True),
        (replace(HEALTHY, phase="failed", failure="handler raised"), False, False),
        (replace(HEALTHY, tick_age_s=90.0), False, True),
        (replace(HEALTHY, tick_age_s=90.0, assigned=()), True, True),
        (replace(HEALTHY, phase="starting", assigned=()), True, False),
        (replace(HEALTHY, phase="stopped"), True, False),
    ],
)
def test_liveness_is_progress_and_readiness_is_assignment(
    health: ConsumerHealth, live: bool, ready: bool
) -> None:
    assert (health.is_live(max_tick_age_s=60), health.is_ready()) == (live, ready)


def connection_args(subscriber: object) -> Mapping[str, Any]:
    assert isinstance(subscriber, BatchSubscriber)
    return subscriber._connection_args


async def test_every_subscriber_commits_by_hand_and_starts_at_the_earliest_record() -> None:
    settings = BusSettings(bootstrap_servers="x:1", client_id="c", group="g")
    broker = make_broker(settings)

    async def handler(batch: Sequence[Delivery]) -> None:
        pass

    Consumer(broker, settings, ["t"], handler)
    (subscriber,) = broker.subscribers
    assert subscriber.ack_policy is AckPolicy.MANUAL
    arguments = connection_args(subscriber)
    assert arguments["enable_auto_commit"] is False
    assert arguments["auto_offset_reset"] == "earliest"
    assert arguments["isolation_level"] == "read_committed"


async def test_members_in_one_process_do_not_share_the_sticky_assignors_memory() -> None:
    settings = BusSettings(bootstrap_servers="x:1", client_id="c", group="g")
    broker = make_broker(settings)

    async def handler(batch: Sequence[Delivery]) -> None:
        pass

    Consumer(broker, settings, ["t"], handler)
    Consumer(broker, settings, ["u"], handler)
    first, second = (connection_args(s)["partition_assignment_strategy"][0] for s in broker.subscribers)
    assert first is not second
    first.member_assignment = ["mine"]
    assert second.member_assignment is None
