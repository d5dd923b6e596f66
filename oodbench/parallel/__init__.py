"""Training on several replicas: one algorithm, and the groups of replicas that it runs on."""
