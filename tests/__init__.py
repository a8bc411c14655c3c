"""The test suite. A package, for packages of other libraries install a `tests` of their own."""
