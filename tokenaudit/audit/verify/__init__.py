"""What an export stands on, and whether that is still so."""
