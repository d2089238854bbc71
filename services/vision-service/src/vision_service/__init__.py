"""EcoChain's vision-service: tells the kind of waste in a picture."""
