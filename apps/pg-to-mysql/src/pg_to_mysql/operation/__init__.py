"""A replica at work: its steps, and what is known of it."""
