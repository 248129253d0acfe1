"""The commands, by topic; each is a few lines between its options and a report."""
