"""The boards of these tests are run once."""

from exported_boards import digits, shapes  # noqa: F401 (fixtures)
