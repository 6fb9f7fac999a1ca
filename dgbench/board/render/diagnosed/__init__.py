"""What a dataset is like: in a terminal, as a page, as plain data."""
