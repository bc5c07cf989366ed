"""LLMs: LangChain chat models chosen by the setting RAG_BOT_LLM, each with a bounded time, a breaker and counted tokens."""
