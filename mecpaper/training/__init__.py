"""From experiments to stored results: the loop of Algorithm 1, checkpoints, local and cluster training, the search."""
