"""Scans: a spectrum or a statistic over lists of its fields, as one table."""
