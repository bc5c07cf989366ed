"""Questions to answers in which every sentence is proved by a quote from a source."""
