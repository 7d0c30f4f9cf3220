"""Tests of the sandbox, over HTTP alone; `server.py` is also how other tests start one as their oracle."""
