"""What is settled before an endpoint is asked: who calls, by which name and from which page, how often, how many."""
