"""Whether the source is the one that MySQL's copies came from."""
