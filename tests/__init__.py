"""A package, so that tests share code by name: ``from tests.tools import require``."""
