"""The command line: `commission-mcp` and `python -m commission_mcp`."""

from __future__ import annotations

import sys

_INTERRUPTED_EXIT = 130


def main() -> None:
    """Run the command line."""
    try:
        from commission_mcp.cli import run  # noqa: PLC0415 - an interrupt while it is imported ends quietly, too

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED_EXIT)


if __name__ == "__main__":
    main()
