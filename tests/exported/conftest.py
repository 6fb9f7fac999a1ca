"""The boards of these tests are run once."""

from exported_boards import blocks, digits, halved, pictures, shapes, tuned  # noqa: F401 (fixtures)
