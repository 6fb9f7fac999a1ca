"""From a file to the square of pixels that a network sees."""
