"""Run the service: `python -m user_service`."""

import signal
import sys

if __name__ == "__main__":
    # As process 1 of a container it has no default handlers: without this, a SIGTERM that comes while the
    # imports below run is lost, and the pod waits out its whole grace period. The server sets its own later.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    from user_service.server import main

    sys.exit(main())
