"""The generated shop: each cell follows from the batch's plan, the table, the column and the row's number."""
