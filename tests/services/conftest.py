"""Puts the service's sources on the path: it is a program of its own, not a room of this project."""

import sys

from core.places import checkout

sys.path.insert(0, str(checkout() / "services/auth-service/src"))
