"""From experiments to stored results: the loop of Algorithm 1, checkpoints, processes and clusters, the search."""
