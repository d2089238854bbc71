"""Run the service: `python -m auth_service`."""

import sys

from auth_service.server import main

if __name__ == "__main__":
    sys.exit(main())
