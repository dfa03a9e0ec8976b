"""The constrained Markov game of Section 4.1, Eq. 32-36, and the measures of its policies."""
