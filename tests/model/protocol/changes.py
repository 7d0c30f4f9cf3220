"""How one world becomes the next: small changes that steps are made of."""

from __future__ import annotations

from typing import Any

from tests.model.protocol.parts import Flight, Hand, Job, Waiting, World, Writer


def row_of(job: Job) -> Waiting:
    return Waiting(job.command, job.replaced, job.old)


def parking(hand: Hand) -> Hand:
    return Hand("park", hand.job)


def hand_of(world: World, number: int) -> Hand:
    writer = world.writers[number]
    assert writer is not None
    assert writer.hand is not None
    return writer.hand


def put(world: World, number: int, writer: Writer | None) -> World:
    owner, former = world.writers
    if number == 1:
        return world._replace(writers=(owner, writer))
    assert writer is not None
    return world._replace(writers=(writer, former))


def go(world: World, number: int, hand: Hand | None) -> World:
    writer = world.writers[number]
    assert writer is not None
    return put(world, number, writer._replace(hand=hand))


def dropped(world: World, number: int) -> World:
    """The command has left its writer's hand; a process that lost its lease had nothing but that."""
    return go(world, 0, None) if number == 0 else put(world, 1, None)


def stopped(world: World, number: int) -> World:
    """The process gives up: what it had in memory comes again from the log."""
    world = unawaited(world, number)
    if number == 1:
        return put(world, 1, None)
    owner = world.writers[0]
    return put(world, 0, Writer(world.offset, (None,) * len(owner.memory)))


def remembers(world: World, job: Job) -> World:
    writer = world.writers[0]
    memory = (*writer.memory[: job.target], job, *writer.memory[job.target + 1 :])
    return put(world, 0, writer._replace(memory=memory))


def forgets(world: World, target: int) -> World:
    writer = world.writers[0]
    memory = (*writer.memory[:target], None, *writer.memory[target + 1 :])
    return put(world, 0, writer._replace(memory=memory))


def at(world: World, target: int, **changes: Any) -> World:
    places = list(world.places)
    places[target] = places[target]._replace(**changes)
    return world._replace(places=tuple(places))


def flying(world: World, *flights: Flight) -> World:
    ordered = sorted(flights, key=lambda flight: (flight[:4], -1 if flight.writer is None else flight.writer))
    return world._replace(flights=tuple(ordered))


def timed_out(world: World, number: int) -> World:
    return go(unawaited(world, number), number, parking(hand_of(world, number)))


def unawaited(world: World, number: int) -> World:
    if not any(flight.writer == number for flight in world.flights):
        return world
    return flying(
        world,
        *(flight._replace(writer=None) if flight.writer == number else flight for flight in world.flights),
    )
