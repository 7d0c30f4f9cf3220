"""The contract: what travels between producers, the hub's services and the readers of its topics.

msgspec Structs here are the only source; `schemas/generated/` holds the JSON Schemas and the AsyncAPI
document made from them (`python -m schemas.documents`), `schemas/golden/` one example of each version.
This package imports nothing of ours and does no I/O.
"""
