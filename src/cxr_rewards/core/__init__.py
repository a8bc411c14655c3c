"""How scores are computed: components and features, their settings, names and versions, and the engine."""
