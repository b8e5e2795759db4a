"""fit(): a program meets its data."""
