"""The egress process: it connects scripts to the names of their rules, and to nothing else."""
