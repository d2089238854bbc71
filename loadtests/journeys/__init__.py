"""Locust users, one journey a file. Importing one imports Locust, which patches sockets: generator only.

A journey is a subclass of `account.AccountUser`. Each of its tasks sends exactly one request, so that rates
mean requests. What `on_start` sends comes before the schedule. A new journey is its file and its line here.
"""

# A journey's name -> its module and class.
JOURNEYS = {
    "auth": ("loadtests.journeys.auth", "AuthUser"),
    "market": ("loadtests.journeys.market", "MarketUser"),
    "pickup": ("loadtests.journeys.pickup", "PickupUser"),
    "vision": ("loadtests.journeys.vision", "VisionUser"),
}
