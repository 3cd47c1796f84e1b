"""What every area stands on; no business words."""
