"""From component scores to one reward: TOML, transforms, weights, gates, presets."""
