"""Rules about chain."""
