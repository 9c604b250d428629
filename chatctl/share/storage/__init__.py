"""Files of a share: pieces, hashes, resume data."""
