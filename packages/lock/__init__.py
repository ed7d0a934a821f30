"""From requirements to exactly which wheels, under the admin's rules, by the gate."""
