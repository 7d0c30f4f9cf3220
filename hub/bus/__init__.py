"""Kafka, with every trap of FastStream and aiokafka closed in one place.

Outside this package only a service's `app.py` imports either of them. The main path: `consumer.Consumer`
hands raw records to a service and commits the contiguous prefix of what the service has marked done;
`producer.Publisher` returns when every record is acknowledged by all in-sync replicas; `reader` reads a range
or follows a topic without any group.
"""
