"""A run folder on disk. This file imports nothing, so that `pyrovae --help` stays fast."""
