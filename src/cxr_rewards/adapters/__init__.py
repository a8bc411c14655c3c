"""Adapters to trainers: each a few lines on `cxr_rewards.adapters.rollouts`. None imports its trainer."""
