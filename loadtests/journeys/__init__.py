"""Locust users, one journey a file. Importing one imports Locust, which patches sockets: generator only."""
