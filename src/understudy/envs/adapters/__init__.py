"""Environments of other packages as ours, and ours as theirs. Each file needs its own extra."""
