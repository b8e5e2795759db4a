"""pyrovae train."""
