"""The parts of grpo_real.py: settings, studies, policy, training, readings, tables and page."""
