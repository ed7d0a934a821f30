"""What level `unprivileged` cannot stop, by attack: shown by doctor, proved by the tests."""

GAPS: dict[str, str] = {
    "size_up_host_file": "stat works on host paths: a run can learn which files there are and "
    "their size and times, though not read them (Landlock does not cover it)",
    "size_up_host_disk": "statfs works on host paths: a run can learn how large and how full the "
    "host's file systems are",
    "count_host_processes": "which process numbers are in use is visible, by getsid, not whose "
    "they are or what they do (no pid namespace)",
    "learn_host_name": "the host's name is visible (no UTS namespace)",
}
