"""Line coverage of the guest: the programs that run inside the sandbox, where coverage.py cannot follow.

The sandbox of the tests starts a probe before the guest, and has a folder that the probe writes to. In Python the probe
is `probe.py`: it marks lines in a file that the zygote and its forks have mapped. In Node.js it is `probe.cjs`: it asks
V8 for its coverage at each reply. `python -m tests.guest_coverage FOLDER` reports what they have written.
"""
