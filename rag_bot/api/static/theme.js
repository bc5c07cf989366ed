// Runs before the page is painted, so that a chosen theme does not flash; localStorage may be forbidden.
try {
  const theme = localStorage.getItem("rag-bot-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // The system's own theme is used.
}
