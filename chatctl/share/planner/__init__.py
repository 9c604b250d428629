"""Decides who sends which piece to whom, so that all files are everywhere as early as possible."""
