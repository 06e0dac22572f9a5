"""A mart, written from Spark into a table of MySQL."""
