"""EcoChain's auth-service: registration, login with JWT, and token checks, without a store."""
