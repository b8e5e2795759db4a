"""`python -m pyrovae` is the command `pyrovae`."""

from pyrovae.cli import main

main(prog_name="pyrovae")
