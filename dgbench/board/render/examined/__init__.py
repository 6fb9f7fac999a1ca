"""What is found of a model: in a terminal, and as a page with its numbers beside it."""
