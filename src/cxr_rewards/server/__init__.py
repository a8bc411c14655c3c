"""The reward as a service: `cxr-rewards serve`."""
