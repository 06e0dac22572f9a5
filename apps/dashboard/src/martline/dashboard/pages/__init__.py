"""Addresses, numbers and words of the pages."""
