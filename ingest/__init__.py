"""Documents into an index: text with places, chunks of it, vectors, and the search over them."""
