"""What every job writes, written by a process of its own while jobs come thick and fast.

A thread that writes and the event loop take the interpreter's lock from each other some fifty times
a job: the thread's 0.9 ms of work took 2.5 of processor time, and the loop waited meanwhile.
Nothing depends on the process: whatever it has not done when it ends, a thread here does.
"""
