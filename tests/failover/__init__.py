"""Three servers under Patroni, whose primary is killed, frozen, cut off and switched over under load."""
