"""Numbers of a trained program."""
