"""Pages about runs: the report, the explorer, and what TensorBoard shows."""
