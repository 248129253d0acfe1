"""Why there is nothing, or less than expected; looks at causes, repairs nothing."""
