"""The addresses, numbers and words of the pages."""
