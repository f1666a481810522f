"""The command line: `commission-mcp` and `python -m commission_mcp`."""

from __future__ import annotations

from commission_mcp.cli import run


def main() -> None:
    """Run the command line."""
    run()


if __name__ == "__main__":
    main()
