"""pyrovae bench."""
