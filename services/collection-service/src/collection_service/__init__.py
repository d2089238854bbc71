"""EcoChain's collection-service: pickups of waste, from the request to the completion."""
