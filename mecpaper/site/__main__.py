"""`python -m mecpaper.site` makes build/site."""

import sys

from mecpaper.site.build import main

if __name__ == "__main__":
    sys.exit(main())
