"""The command `pyrovae bench`."""
