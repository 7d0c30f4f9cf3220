import pytest

from tests.support.kafka import KafkaServer


@pytest.fixture
def bootstrap(kafka: KafkaServer) -> str:
    return kafka.bootstrap
