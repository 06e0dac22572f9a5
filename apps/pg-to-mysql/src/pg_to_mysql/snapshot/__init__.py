"""The copy of tables that are new."""
