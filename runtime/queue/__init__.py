"""How work and news travel: Docket carries work to workers, a notifier wakes this process."""
