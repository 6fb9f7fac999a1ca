"""The public functions, a file for what one does with them; ``import dgbench`` has them all."""
