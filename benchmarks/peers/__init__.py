"""What others would have used: HTTP clients to send with, and detectors of downtime."""
