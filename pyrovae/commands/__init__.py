"""The commands of `pyrovae` as Python calls that print nothing, each beside a class that does the work step by step."""
