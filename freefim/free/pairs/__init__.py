"""A law that is no free operation: pairs of independent levels, coupled by rank one."""
