"""Values without behaviour that every room may speak of: terms, units, budgets, blocks, errors."""
