"""How soon a promotion is followed: from pgweir's first answer of the new primary, not in recovery
and with a higher timeline, to the first write that arrives there. Both times are those of the logs:
pgweir's (ISO 8601, UTC) and PostgreSQL's (%m; the cluster runs with TZ=UTC), in ms by one clock."""
import datetime
import re

from tools import proc

SECONDS = 1  # the promise, wherever the suite's factor for slow machines is 1
TICK = 0.002  # each time is cut to a ms
ANSWER = r"^(\S+)Z \w+ node (?:has another role|is up) node=127\.0\.0\.1:%d .*role=primary timeline=(\d+)"
WRITE = r"^(\S+ \S+) UTC \[\d+\] app@\S+ LOG:  (?:statement|execute [^:]+): INSERT"


class Followed:
    """From before the promotion on the node's log has every write; `seconds` ends that. The user
    `app` has to be writing by INSERT meanwhile."""

    def __init__(self, pooler, node):
        self.pooler, self.node = pooler, node
        self.timeline = max(int(row["timeline"]) for row in pooler.show("CLUSTERS"))
        self.pooler_at = len(pooler.log_text())
        self.node_at = len(node.log_text())
        node.sql("ALTER SYSTEM SET log_statement = 'mod'; SELECT pg_reload_conf()")

    def answered(self):
        """When pgweir knew; None: not yet."""
        text = self.pooler.log_text()[self.pooler_at:]
        for at, timeline in re.findall(ANSWER % self.node.port, text, re.MULTILINE):
            if int(timeline) > self.timeline:
                return datetime.datetime.fromisoformat(at)
        return None

    def written(self):
        """When the first write arrived; None: none yet."""
        found = re.search(WRITE, self.node.log_text()[self.node_at:], re.MULTILINE)
        return datetime.datetime.fromisoformat(found.group(1)) if found else None

    def seconds(self, timeout=30):
        """Waits for both."""
        written = proc.wait_until(f"a write on {self.node.name}", self.written,
                                  timeout * self.pooler.slow, 0.05)
        answered = proc.wait_until(f"pgweir to know {self.node.name} as the primary",
                                   self.answered, timeout * self.pooler.slow, 0.05)
        self.node.sql("ALTER SYSTEM RESET log_statement; SELECT pg_reload_conf()")
        took = (written - answered).total_seconds()
        assert took >= -TICK, f"{self.node.name} was written to {-took} s before it was known"
        return took

    def limit(self):
        return SECONDS * self.pooler.slow
