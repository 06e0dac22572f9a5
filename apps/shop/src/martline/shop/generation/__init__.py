"""The generated shop. Each value depends only on the batch's plan, the table, the column and the row's number."""
