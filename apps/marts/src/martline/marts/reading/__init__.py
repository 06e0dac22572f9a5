"""The replica, read into Spark: by ranges of a table's key, at one moment, as Arrow batches."""
