"""Several maps at once: which particle shows which is one more variable that is summed over."""
