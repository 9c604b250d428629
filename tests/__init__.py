"""A package, so that tests share code by name: ``from tests.support.programs import require``."""
