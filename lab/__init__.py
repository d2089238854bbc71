"""The embedded environment: a real Kubernetes on this machine, its images and its doubles."""
