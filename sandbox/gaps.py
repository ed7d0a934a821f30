"""What level `unprivileged` cannot stop, by attack: shown by doctor, proved by the tests."""

GAPS: dict[str, str] = {
    "size_up_host_file": "stat works on host paths: a run can learn which files there are and "
    "their size and times, though not read them (Landlock does not cover it)",
    "learn_host_name": "the host's name is visible (no UTS namespace)",
}
