"""What ``scripts/fuzz.py`` is made of: seeds, what is done to them, who reads them, and who watches meanwhile."""
