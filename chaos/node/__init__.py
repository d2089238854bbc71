"""What runs on a node, in the agent's pod: nothing but the standard library and core."""
