"""Jobs: submitting, cancelling and retrying them, one attempt from claim to end, its events."""
