"""EcoChain's marketplace-service: listings of recovered material, and orders of it."""
