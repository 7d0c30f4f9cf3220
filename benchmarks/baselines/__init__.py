"""What the hub is compared with: the usual way to do a part of its work, on the same broker with the same bytes."""
