"""PostgreSQL to MySQL: any tables with a key, copied, followed and compared."""
