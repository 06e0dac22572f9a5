"""The marts, a file for each: ``MART`` says what it is, ``build`` how it follows from the replica."""
