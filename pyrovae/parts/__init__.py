"""What programs are made of; swap any part for your own."""
