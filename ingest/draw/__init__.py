"""Pages and plots that load nothing: one HTML file with its plots in it."""
