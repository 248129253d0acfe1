"""Places that programs read and nightly jobs add to: lakes, databases, metrics."""
