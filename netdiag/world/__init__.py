"""A small world on loopback (names, servers, proxies, an authority) for ``netdiag demo`` and for tests."""
