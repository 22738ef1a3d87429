"""Measurements that compare; run by hand, on a quiet machine."""
