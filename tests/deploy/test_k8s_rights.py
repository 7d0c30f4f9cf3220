"""The logins of the manifests, on a Kafka that grants nothing else: the hub works, no login does another's work."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from hub.bus.reader import read_range
from hub.bus.topics import create_topics
from schemas.topics import COMMANDS, CONTROL, DEAD_LETTERS, IMPORTS, QUOTES, TOPICS
from tests.deploy.k8s_render import of_kind
from tests.support.hub import SERVICES, Hub, eventually, quote_event, running_hub
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer
from tests.support.processes import free_port

pytestmark = [pytest.mark.feature("hub.k8s", part="all"), pytest.mark.timeout(600)]
PASSWORD = secrets.token_hex(16)
_PATIENCE_S = 120.0
_NAMED: Any = None  # anything by this name
_ANY = AclBindingFilter(
    *(ResourceType.ANY, _NAMED, ResourcePatternType.ANY, _NAMED, _NAMED),
    *(AclOperation.ANY, AclPermissionType.ANY),
)
_PATTERNS = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KafkaServer, str]]:
    """A broker with a listener where each login has the rights of its KafkaUser, and the address of that listener."""
    plain, signed_in, controller = free_port(), free_port(), free_port()
    listeners = f"PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{signed_in}"
    properties = {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": listeners,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # The listener without a login is for this test and for the broker itself.
        "super.users": "User:ANONYMOUS",
    }
    server = KafkaServer(tmp_path_factory.mktemp("kafka"), port=plain, properties=properties)
    server.start()
    asyncio.run(create_topics(server.bootstrap, TOPICS))
    _grant(AdminClient({"bootstrap.servers": server.bootstrap}))
    yield server, f"127.0.0.1:{signed_in}"
    server.kill()


def _grant(admin: AdminClient) -> None:
    """As Strimzi's User Operator does with each KafkaUser."""
    users = of_kind("prod-strimzi", "KafkaUser")
    hashed = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    logins: list[Any] = [
        UserScramCredentialUpsertion(user["metadata"]["name"], hashed, PASSWORD.encode()) for user in users
    ]
    rights = [
        AclBinding(
            ResourceType[acl["resource"]["type"].upper()],
            acl["resource"]["name"],
            _PATTERNS[acl["resource"]["patternType"]],
            f"User:{user['metadata']['name']}",
            "*",
            AclOperation[operation.upper()],
            AclPermissionType.ALLOW,
        )
        for user in users
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    ]
    for answers in (admin.alter_user_scram_credentials(logins), admin.create_acls(rights)):
        for answer in answers.values():
            answer.result(timeout=_PATIENCE_S)
    # The controller has them; the broker hears of them a moment later.
    eventually(lambda: len(admin.describe_acls(_ANY).result(_PATIENCE_S)) >= len(set(rights)), _PATIENCE_S)


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, guarded: tuple[KafkaServer, str]
) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub"), guarded[1], postgres.create_database()) as running:
        running.environment |= {
            "HUB_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "HUB_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "HUB_KAFKA_SASL_PASSWORD": PASSWORD,
        }
        for service in SERVICES:
            running.start(service, HUB_KAFKA_SASL_USERNAME=f"hub-{service}")
        running.wait_ready(timeout_s=_PATIENCE_S)
        yield running
        for process in running.processes.values():
            process.kill()


def test_a_quote_goes_all_the_way_with_the_rights_of_the_manifests(
    hub: Hub, guarded: tuple[KafkaServer, str]
) -> None:
    hub.publish(quote_event("Q-1", 1), quote_event("Q-2", 1, currency="Nobody's"))

    def titles() -> set[str]:
        return {str(row["title"]) for row in hub.sandbox.state("Quotation")}

    eventually(lambda: "Quote Q-1" in titles(), _PATIENCE_S, what="the quote in Halo")
    eventually(
        lambda: asyncio.run(_letters(guarded[0].bootstrap)), _PATIENCE_S, what="the other's dead letter"
    )
    for service in SERVICES:
        eventually(lambda service=service: hub.answers(service), _PATIENCE_S, what=f"{service} ready")
        assert not [line for line in hub.processes[service].lines() if "uthoriz" in str(line)]


async def _letters(bootstrap: str) -> int:
    return len([record async for record in read_range(bootstrap, DEAD_LETTERS)])


async def may_write(address: str, login: str, topic: str) -> bool:
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", enable_idempotence=True, **_as(login))
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"{", key=b"nobody")
    except (ClusterAuthorizationFailedError, TopicAuthorizationFailedError):
        return False
    finally:
        await producer.stop()
    return True


async def may_read(address: str, login: str, topic: str) -> bool:
    consumer = AIOKafkaConsumer(bootstrap_servers=address, **_as(login))
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        while consumer.highwater(TopicPartition(topic, 0)) is None:
            await consumer.getmany(timeout_ms=100)
    except KafkaError:
        return False
    finally:
        await consumer.stop()
    return True


def _as(login: str) -> dict[str, str]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": login,
        "sasl_plain_password": PASSWORD,
    }


@pytest.mark.parametrize(
    ("login", "writes", "writes_not"),
    [
        ("team-quotes", [QUOTES], [COMMANDS, CONTROL, "hub.billing.v1", IMPORTS]),
        ("hub-ingest", [], [COMMANDS, CONTROL, DEAD_LETTERS]),
        ("hub-writer", [], [COMMANDS, QUOTES]),
        ("hub-scaler", [], [QUOTES]),
    ],
)
async def test_a_login_writes_what_it_may_and_nothing_else(
    guarded: tuple[KafkaServer, str], login: str, writes: list[str], writes_not: list[str]
) -> None:
    for topic in writes:
        assert await may_write(guarded[1], login, topic)
    for topic in writes_not:
        assert not await may_write(guarded[1], login, topic)


async def test_a_team_reads_imports_and_no_events(guarded: tuple[KafkaServer, str]) -> None:
    assert await may_read(guarded[1], "team-quotes", IMPORTS)
    assert not await may_read(guarded[1], "team-quotes", QUOTES)
