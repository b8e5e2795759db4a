"""Build the program that a config describes."""
