"""The command `pyrovae explain`."""
