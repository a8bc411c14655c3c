"""`python -m cxr_rewards` is `cxr-rewards`."""

from cxr_rewards.cli import main

main()
