def import_file() -> None:
    """Not yet."""
