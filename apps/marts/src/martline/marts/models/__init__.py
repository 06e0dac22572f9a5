"""The marts, one file each. ``MART`` describes the mart, and ``build`` computes it from the replica."""
