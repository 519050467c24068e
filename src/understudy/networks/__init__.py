"""Networks: Equinox modules whose leaves are arrays and whose other fields are static."""
