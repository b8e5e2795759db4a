"""pyrovae sweep."""
