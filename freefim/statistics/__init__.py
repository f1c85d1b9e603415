"""Mean-field statistics of the Fisher information and its relatives: network to numbers."""
