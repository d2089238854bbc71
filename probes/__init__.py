"""Samplers, the control target and the Kubernetes watcher: processes that write a run's timeline."""
