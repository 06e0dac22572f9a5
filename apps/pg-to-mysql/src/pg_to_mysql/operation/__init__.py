"""A replica at work: its steps, and its status."""
