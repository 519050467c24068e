"""Train, keep, generate, evaluate and compare."""
