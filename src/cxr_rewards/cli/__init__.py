"""The command line, `cxr-rewards`."""

from __future__ import annotations


def main() -> None:
    """Run the command line with the arguments of this process."""
    from cxr_rewards.cli.app import main as run

    run()
