"""Network I/O in, observations out. Probes never judge; ``net.py`` is the one door to sockets."""
