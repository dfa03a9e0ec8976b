"""`python -m mecpaper.edition` makes build/site."""

import sys

from mecpaper.edition.build import main

if __name__ == "__main__":
    sys.exit(main())
