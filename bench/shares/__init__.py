"""Swapping k files among k peers over shaped links: chatctl beside others, and beside the bound."""
