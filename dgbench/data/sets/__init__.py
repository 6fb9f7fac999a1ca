"""What dgbench makes itself, drawn or built from a few raw files; the makers of others, by name."""
