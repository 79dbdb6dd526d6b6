"""X.509 without a network: loading, names, trust stores, path building, verification."""
