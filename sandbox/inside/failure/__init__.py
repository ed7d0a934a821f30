"""What can be found out about a failure; imported when a run has failed, and never before."""
