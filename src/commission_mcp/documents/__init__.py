"""Documents: bytes of many formats to located text, and that to passages. No network, no database."""
