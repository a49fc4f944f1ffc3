"""What is minimized: eq. 7 as a table, one row a picture, one column a loss term."""
