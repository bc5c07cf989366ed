"""The Slack bot: Bolt's listeners, Markdown as Slack shows it, streams, the manifest, and a check of the set-up."""
