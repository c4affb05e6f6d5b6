"""Live screens: topics, snapshots and the streams that carry them."""
