"""``python -m freefim`` is the command ``freefim``."""

import sys

from freefim.cli import main

if __name__ == "__main__":
    sys.exit(main())
