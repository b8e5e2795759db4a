"""pyrovae explain."""
