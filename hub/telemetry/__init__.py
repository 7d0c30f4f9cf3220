"""What every service tells about itself: log lines without secrets, metrics, health, and a port for them."""
