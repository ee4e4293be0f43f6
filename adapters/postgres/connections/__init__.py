"""Connections, and one statement on one of them: bounded in time, its failure judged and reported."""
