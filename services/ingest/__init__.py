"""The door for all that does not come over Kafka: events over HTTP, and what Halo itself holds.

It authenticates, validates, appends to the log, then answers. It knows no mapping rule and suppresses nothing.
"""
