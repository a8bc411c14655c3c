"""Training scripts, installed with the library: `python -m cxr_rewards.recipes.grpo_trl --help`."""
