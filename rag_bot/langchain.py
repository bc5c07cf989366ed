"""The index as a LangChain retriever, for chains of one's own: `IndexRetriever(index=Index.open(path), k=5)`."""

from __future__ import annotations

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from ingest.index import Index
from ingest.types import Allowed, Mode
from rag_bot.readers import Readers


class IndexRetriever(BaseRetriever):
    """Finds the `k` passages that fit a question best; each document's metadata is the hit, its exact place included.

    `allowed` says which documents may be found; at first all but those that belong to one person or channel.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    index: Index
    k: int = 5
    mode: Mode = "hybrid"
    allowed: Allowed = Readers().everyone()

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        hits = [hit.as_dict() for hit in self.index.search(query, self.k, self.mode, allowed=self.allowed)]
        return [Document(page_content=str(hit.pop("text")), metadata=hit) for hit in hits]
