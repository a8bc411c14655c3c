"""The engine that scores cases, and the base classes of components and features."""
