"""Laws by name: those that are given, and those that free operations make of them."""
