"""How good the answers are, on documents of one's own: question sets, runs, reports, and the choice between settings."""
