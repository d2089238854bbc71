"""Load: Locust users in a process of their own, joined to the timeline second by second."""
