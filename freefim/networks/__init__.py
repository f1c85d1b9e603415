"""Random deep networks: their description, activations and mean-field order parameters."""
