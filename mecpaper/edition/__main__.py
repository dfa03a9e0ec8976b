"""Build the site into build/site: `python -m mecpaper.edition`."""

import sys

from mecpaper.edition.build import main

if __name__ == "__main__":
    sys.exit(main())
