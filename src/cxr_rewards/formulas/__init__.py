"""Published formulas as plain arithmetic: no models, no reports, no settings."""
