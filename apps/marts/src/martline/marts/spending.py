"""Which orders count as sold, for all marts alike."""

NOT_SOLD = ("Canceled", "Failed", "Returned")
"""The statuses of orders that bring no revenue."""
RETURNED = "Returned"
