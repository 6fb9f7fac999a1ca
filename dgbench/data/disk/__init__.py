"""What lies on a user's disk: where it is, what it looks like, how each form is read, whether it is sound."""
