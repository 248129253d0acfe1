"""What a user should know of the figures: findings, unrecorded calls, bridges to other totals."""
