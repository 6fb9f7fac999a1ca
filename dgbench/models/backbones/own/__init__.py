"""Weights of one's own: a file or a folder, found, read as data, and fitted to a network."""
