"""What the user has set, and where the platform keeps it; reads no transcript."""
