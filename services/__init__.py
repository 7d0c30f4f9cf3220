"""The services: each is a process of its own with its composition root in `app.py`."""
