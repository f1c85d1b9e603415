"""One small room per spectrum: network → law, its witness, its verdict."""
