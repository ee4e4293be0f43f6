"""Which packages a session and its executions import."""

from domain.timeline import Timeline, TreeTrace
from entrypoints.cli.explain.sentences import Evidence, fact


def environment(timeline: Timeline) -> Evidence | None:
    """Return the environment of the session with the builds of its packages; None without one."""
    grants = timeline.session and timeline.session.grants
    if not grants or grants.environment is None:
        return None
    trees = ", ".join(map(_shown, timeline.trees)) or "no build of it is stored"
    return fact("environment", title=grants.environment, trees=trees)


def _shown(tree: TreeTrace) -> str:
    return f"{tree.platform} {tree.status}" if tree.digest is None else f"{tree.platform} has the tree {tree.digest}"
