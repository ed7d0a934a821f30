"""Every run-time attack, whether it can be proved here, and how it must end behind the walls."""

from dataclasses import dataclass, field
from typing import Literal

from sandbox.command import Ending

type Proof = Literal["everybody", "root", "where the kernel has it", "needs no proof"]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """`target` is module:function in attacks/. `limits` names any of which must be crossed."""

    target: str
    proof: Proof = "everybody"
    limits: frozenset[str] = frozenset()
    endings: frozenset[Ending] = frozenset()
    may_be_refused: bool = False
    """Whether it is as good if the attack does not even get as far as the limit."""
    collected: frozenset[str] | None = None
    """For outputs: what may be collected, and nothing else."""

    def __str__(self) -> str:
        return self.target.partition(":")[2]


@dataclass
class _Catalogue:
    attacks: list[Attack] = field(default_factory=list)

    def add(self, module: str, names: str, **how) -> None:
        for name in names.split():
            self.attacks.append(Attack(target=f"{module}:{name}", **how))


def catalogue() -> list[Attack]:
    """Return all attacks."""
    book = _Catalogue()
    _resources(book)
    _processes(book)
    _files(book)
    _network(book)
    _hoards(book)
    _shared(book)
    _kernel(book)
    _runner(book)
    return book.attacks


def _resources(book: _Catalogue) -> None:
    def limited(names: str, *limits: str, proof: Proof = "everybody") -> None:
        book.add("resources", names, limits=frozenset(limits), proof=proof)

    limited("fork_bomb thread_bomb", "processes", "memory_mb")
    limited("memory_bomb memory_bomb_by_children", "memory_mb")
    limited("scratch_bomb", "scratch_mb", "memory_mb", "output_mb")
    limited("scratch_bomb_far_down", "scratch_mb", "memory_mb", "scratch_inodes", "scratch_depth")
    book.add(
        "resources",
        "tmp_bomb shared_memory_bomb",
        limits=frozenset({"scratch_mb", "memory_mb", "output_mb"}),
        may_be_refused=True,
    )
    limited("output_bomb sparse_giant", "output_mb", "memory_mb", "scratch_mb")
    limited("inode_bomb", "scratch_inodes", "scratch_mb", "memory_mb", "cpu_s")
    limited(
        "output_inode_bomb",
        "output_inodes",
        "wall_s",
        "cpu_s",
        "scratch_mb",
        "output_mb",
        "memory_mb",
        "output_files",
    )
    limited("descriptor_bomb", "open_files")
    limited("stdout_bomb stderr_bomb_without_newline event_flood", "log_kb", "log_lines")
    limited("bar_that_is_drawn_for_ever", "log_kb")
    limited("line_bomb", "log_lines")
    limited("cpu_spin cpu_spin_in_children", "cpu_s", "wall_s")
    limited("sleep_beyond_the_clock", "wall_s")
    limited("giant_result", "result_kb", proof="needs no proof")
    book.add("resources", "raise_own_limits", proof="root")


def _hoards(book: _Catalogue) -> None:
    book.add(
        "hoards",
        "datagrams_held_back datagrams_held_back_to_nowhere datagrams_corked "
        "datagrams_nobody_reads datagrams_that_come_back connections_nobody_accepts "
        "keys_of_signatures",
    )


def _processes(book: _Catalogue) -> None:
    book.add(
        "processes",
        "kill_everybody ptrace_victim ptrace_own_child read_victim_memory "
        "read_victim_environment read_worker_environment read_victim_by_process_vm "
        "steal_descriptor see_others lower_niceness_of_others learn_host_name "
        "overwrite_own_executable count_host_processes watch_victim_end",
    )
    book.add("processes", "kill_parent lower_niceness_of_user", proof="needs no proof")
    book.add("processes", "core_pattern", proof="root")
    book.add("processes", "sysrq oom_score_of_the_protected", proof="where the kernel has it")


def _files(book: _Catalogue) -> None:
    book.add(
        "files",
        "read_host_secret read_host_accounts list_host_root read_database "
        "read_neighbours_input read_other_bundle climb_out_by_dotdot climb_out_by_proc_root "
        "climb_out_by_proc_cwd write_environment write_bytecode replace_bytecode "
        "write_interpreter write_bundle write_runner write_installer_cache "
        "plant_sitecustomize plant_pth chmod_environment backdate_environment size_up_host_file "
        "size_up_host_disk execute_from_scratch",
    )
    book.add("files", "write_input", proof="needs no proof")
    book.add("files", "read_through_inherited_descriptors", proof="needs no proof")
    nothing = frozenset[str]()
    book.add(
        "files",
        "output_symlink_to_secret output_symlinked_folder output_magic_link output_fifo "
        "output_socket output_deep",
        collected=nothing,
    )
    book.add("files", "output_unreadable", collected=frozenset({"file"}))
    book.add("files", "output_device", collected=nothing, proof="root")
    book.add("files", "output_hardlink", collected=nothing)
    book.add("files", "output_setuid", collected=frozenset({"root-shell"}))
    book.add("files", "output_odd_names", collected=frozenset({"fine.txt"}))
    book.add("files", "output_swapper", collected=frozenset({"swap.txt"}))


def _network(book: _Catalogue) -> None:
    book.add(
        "network",
        "connect_loopback datagram_to_loopback connect_abstract_socket connect_host_socket_file "
        "netlink_socket",
    )
    book.add(
        "network",
        "connect_loopback_ipv6 vsock_socket alg_socket reach_metadata_address resolve_names",
        proof="where the kernel has it",
    )
    book.add("network", "raw_socket packet_socket", proof="root")


def _shared(book: _Catalogue) -> None:
    book.add(
        "shared",
        "lease_environment lease_input_for_writing lease_by_high_bits notify_of_environment "
        "watch_environment watch_bundle watch_root datagram_of_a_pair_to_host_socket "
        "datagram_of_a_pair_by_sendmsg datagram_of_a_pair_connected raw_pair_to_host_socket",
    )
    book.add(
        "shared",
        "delegation flag_input flag_scratch flag_scratch_by_xattr",
        proof="where the kernel has it",
    )
    book.add("shared", "stream_of_a_pair_to_host_socket", proof="needs no proof")


def _kernel(book: _Catalogue) -> None:
    book.add(
        "kernel",
        "user_namespace user_namespace_by_clone user_namespace_by_clone3 add_key read_keyring "
        "execute_memory_file foreign_abi disable_address_randomisation",
    )
    book.add(
        "kernel",
        "mount_tmpfs new_mount_api remount unmount chroot join_host_namespace "
        "open_by_handle set_clock set_hostname become_root",
        proof="root",
    )
    book.add(
        "kernel",
        "load_module kexec "
        "bpf perf io_uring userfaultfd inject_keystrokes inject_keystrokes_with_high_bits "
        "statistics_of_mounts future_syscall x32_abi",
        proof="where the kernel has it",
    )


def _runner(book: _Catalogue) -> None:
    def ends(names: str, *endings: Ending) -> None:
        book.add("runner", names, endings=frozenset(endings), proof="needs no proof")

    ends("exit_zero_without_result system_exit_zero", Ending.EXITED)
    ends("exit_like_a_signal", Ending.KILLED, Ending.EXITED)
    ends(
        "garbage_frame oversized_frame deep_frame torn_frame second_hello forged_ended wrong_types",
        Ending.PROTOCOL,
    )
    ends("not_a_number not_json endless_result lone_surrogate", Ending.RAISED)
    ends("monkeypatch_runner", Ending.RAISED)
    ends("close_channel", Ending.EXITED, Ending.KILLED)
    ends("crash", Ending.KILLED)
    ends("forged_walls", Ending.RETURNED, Ending.PROTOCOL)
    ends("smuggle_descriptors", Ending.RETURNED, Ending.PROTOCOL, Ending.RAISED)
