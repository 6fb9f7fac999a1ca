"""What a dataset is like before anything is trained: pure functions of arrays, one published diagnostic a file."""
