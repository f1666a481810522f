"""One parser a format: bytes to a `Draft`. They run in the worker only, since a hostile file may break any of them."""
