"""What is kept of a dataset so that no work is done twice: its digest, its squares, its shifted images."""
