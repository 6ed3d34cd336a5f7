"""What the report says and how it looks: judgements in words, then Markdown, HTML and terminal."""
