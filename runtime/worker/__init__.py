"""The worker: takes attempts and activations from Docket, and brings back what was lost."""
