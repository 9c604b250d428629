"""Which version this is, as installed or as in the checkout."""

from importlib import metadata


def version() -> str:
    """Return the version of the distribution, or "0" where it is not installed."""
    try:
        return metadata.version("chatd")
    except metadata.PackageNotFoundError:
        return "0"
