"""Models that leave: written as a folder, read back, asked for predictions, and trained on all domains for use."""
