"""Speed and size of netdiag beside its peers, measured in one run, told as ratios. ``python -m bench``."""
