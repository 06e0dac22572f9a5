"""Whether both sides hold the same rows."""
