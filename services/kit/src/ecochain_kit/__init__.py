"""What every EcoChain service shares: answers, measures, logs, stores, tokens, calls, an orderly end."""
