"""What usage costs: a dated rate card, the names of models, and exact arithmetic."""
