"""Publishes a plan's events over HTTP and straight to Kafka; each is sent again, with its id, until acknowledged."""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tests.soak.histories import Event, Publish, Route
from tests.support.hub import PRODUCER_TOKEN

SOURCE = "/quoter"
TOPIC = "hub.quotes.v1"
_THREADS = 3
_BATCH = 5
_HTTP_TIMEOUT_S = 6.0
_AGAIN_S = 0.5


class Publisher:
    """Threads that work the plan off; `acknowledged` grows, `left` falls to 0.

    Invariants:
    * an event counts as published when a 202 or Kafka's acknowledgement came, and stays in hand until then.
    """

    def __init__(self, plan: Sequence[Publish], bootstrap: str, doors: Sequence[str], seed: int) -> None:
        self.acknowledged: list[Event] = []
        self.counts: Counter[str] = Counter()
        self._bootstrap = bootstrap
        self._doors = list(doors)
        self._rng = random.Random(f"publisher {seed}")
        self._tie = itertools.count()
        self._queue = [(publish.at_s, next(self._tie), publish) for publish in plan]
        heapq.heapify(self._queue)
        self._in_hand = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._started_s = 0.0
        self._started_at = dt.datetime.now(dt.UTC)
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._started_s = time.monotonic()
        loops: list[Callable[[], None]] = [self._over_http] * _THREADS + [self._over_kafka]
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in loops]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=_HTTP_TIMEOUT_S + 5)

    @property
    def left(self) -> int:
        """Sendings that are not acknowledged yet, those whose time has not come included."""
        with self._lock:
            return len(self._queue) + self._in_hand

    def event_json(self, event: Event) -> dict[str, Any]:
        """A structured CloudEvent; the same bytes' worth each time it is sent."""
        at = self._started_at - dt.timedelta(hours=1) + dt.timedelta(seconds=event.revision)
        return {
            "specversion": "1.0",
            "id": event.id,
            "source": SOURCE,
            "type": event.type,
            "subject": event.quote,
            "time": at.isoformat(),
            "tenant": event.tenant,
            "revision": event.revision,
            "datacontenttype": "application/json",
            "data": event.data(),
        }

    # Work in hand -----------------------------------------------------------------------------------------

    def _due(self, route: Route, most: int) -> list[Publish]:
        """What is to be sent now by this route; it stays in hand until `_done` or `_again`."""
        now_s = time.monotonic() - self._started_s
        found: list[Publish] = []
        others: list[tuple[float, int, Publish]] = []
        with self._lock:
            while self._queue and self._queue[0][0] <= now_s and len(found) < most:
                entry = heapq.heappop(self._queue)
                if entry[2].route == route:
                    found.append(entry[2])
                else:
                    others.append(entry)
            for entry in others:
                heapq.heappush(self._queue, entry)
            self._in_hand += len(found)
        return found

    def _done(self, sent: Sequence[Publish]) -> None:
        with self._lock:
            self._in_hand -= len(sent)
            for publish in sent:
                self.acknowledged.append(publish.event)
                self.counts[publish.route] += 1
                self.counts[publish.why] += 1

    def _again(self, unsent: Sequence[Publish]) -> None:
        at_s = time.monotonic() - self._started_s + _AGAIN_S
        with self._lock:
            self._in_hand -= len(unsent)
            self.counts["sent again, unacknowledged"] += len(unsent)
            for publish in unsent:
                heapq.heappush(self._queue, (at_s, next(self._tie), publish))

    # HTTP -------------------------------------------------------------------------------------------------

    def _over_http(self) -> None:
        headers = {
            "content-type": "application/cloudevents-batch+json",
            "authorization": f"Bearer {PRODUCER_TOKEN}",
        }
        with httpx.Client(trust_env=False, timeout=_HTTP_TIMEOUT_S, headers=headers) as client:
            while not self._stop.is_set():
                batch = self._due("http", self._rng.randint(1, _BATCH))
                if not batch:
                    self._stop.wait(0.05)
                    continue
                door = self._rng.choice(self._doors)
                if self._posted(client, door, batch):
                    self._done(batch)
                else:
                    self._again(batch)

    def _posted(self, client: httpx.Client, door: str, batch: Sequence[Publish]) -> bool:
        """Whether the whole batch was acknowledged. Anything but 202 and 5xx is a fault of the soak itself."""
        body = json.dumps([self.event_json(publish.event) for publish in batch])
        try:
            answer = client.post(f"{door}/v1/events", content=body)
        except httpx.TransportError:
            return False
        if answer.status_code != 202 and answer.status_code < 500 and answer.status_code != 408:
            raise AssertionError(f"the door refuses an event: {answer.status_code} {answer.text}")
        return answer.status_code == 202

    # Kafka ------------------------------------------------------------------------------------------------

    def _over_kafka(self) -> None:
        settings = {
            "bootstrap.servers": self._bootstrap,
            "acks": "all",
            "message.timeout.ms": 8000,
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }
        producer = Producer(settings)
        while not self._stop.is_set():
            for publish in self._due("kafka", 50):
                try:
                    self._produce(producer, publish)
                except (BufferError, KafkaException):
                    self._again([publish])
            producer.poll(0.05)
        producer.flush(5)

    def _produce(self, producer: Producer, publish: Publish) -> None:
        event = publish.event
        document = self.event_json(event)
        data = document.pop("data")
        content_type = document.pop("datacontenttype")
        headers: list[tuple[str, str | bytes | None]] = [
            (f"ce_{name}", str(value).encode()) for name, value in document.items()
        ]
        headers.append(("content-type", content_type.encode()))

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self._done([publish])
            else:
                self._again([publish])

        key = f"{event.tenant}/quote/{event.quote}".encode()
        producer.produce(TOPIC, json.dumps(data).encode(), key, headers=headers, on_delivery=delivered)
