"""How a config becomes a program."""
