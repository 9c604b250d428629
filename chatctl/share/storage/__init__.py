"""Storage of a share: files, pieces, digests and resume data."""
