"""The benchmarks' own helpers on made-up data, and what their page says of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cache, data, metrics, parsers, results
from benchmarks.__main__ import main
from benchmarks.build import index_of
from benchmarks.data import Passage, Question
from benchmarks.registry import BENCHMARKS, chosen, in_all
from ingest.embedder import Embedded, HashEmbedder
from ingest.types import Span

ROOT = Path(__file__).resolve().parent.parent

BEES = Passage("bees/1", "Bees", "Bees make honey. A hive holds one queen.")
CATS = Passage("cats", "Cats", "Cats sleep sixteen hours a day.")
SHIPS = Passage("ships", "Ships", "Ships carry grain across the sea.")
ANIMALS = [BEES, CATS, SHIPS]
QUESTIONS = [Question("q1", "Who makes honey?", {"bees/1": 1}), Question("q2", "What do ships carry?", {"ships": 2, "cats": 1})]


# --- metrics


def test_the_best_chunk_ranks_its_document() -> None:
    assert metrics.by_best_chunk(["cats", "bees/1", "cats", "ships", "bees/1"]) == ["cats", "bees/1", "ships"]


def test_reciprocal_rank_prefers_what_both_found() -> None:
    fused = metrics.reciprocal_rank([[(1, 0.9), (2, 0.8)], [(3, 12.0), (2, 5.0)]])
    assert [i for i, _ in fused] == [2, 1, 3]
    assert fused[0][1] == pytest.approx(1 / 62 + 1 / 62)


@pytest.mark.parametrize(("percent", "expected"), [(50, 5.0), (99, 10.0), (100, 10.0), (1, 1.0)])
def test_percentile_is_a_value_that_was_measured(percent: int, expected: float) -> None:
    assert metrics.percentile([float(value) for value in range(10, 0, -1)], percent) == expected


def test_scores_count_a_question_without_an_answer_as_nothing() -> None:
    pytest.importorskip("ir_measures", reason="needs the extra `bench`")
    found = {"q1": ["cats", "bees/1"], "q2": []}
    scores = metrics.score(QUESTIONS, found, ("R@1", "R@5", "nDCG@10"))
    assert scores["R@1"] == 0
    assert scores["R@5"] == pytest.approx(0.5)
    assert scores["nDCG@10"] == pytest.approx(0.5 / np.log2(3))


# --- data


def test_first_keeps_only_questions_that_can_be_answered() -> None:
    passages, questions = data.first(ANIMALS, QUESTIONS, 2)
    assert passages == [BEES, CATS]
    assert [(question.id, question.relevant) for question in questions] == [("q1", {"bees/1": 1}), ("q2", {"cats": 1})]


def test_around_keeps_every_judged_passage() -> None:
    others = [Passage(f"other-{number}", "", "Nothing of note.") for number in range(5)]
    passages, questions = data.around([*others, *ANIMALS], QUESTIONS, 5)
    assert [passage.id for passage in passages] == ["other-0", "other-1", "bees/1", "cats", "ships"]
    assert questions == QUESTIONS


def test_a_file_name_leads_back_to_its_passage(tmp_path: Path) -> None:
    data.write_files(ANIMALS, tmp_path)
    assert {data.id_of(str(path)) for path in tmp_path.iterdir()} == {"bees/1", "cats", "ships"}
    assert (tmp_path / "cats.txt").read_text(encoding="utf-8") == "Cats\n\nCats sleep sixteen hours a day.\n"


def test_scifact_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_BOT_BENCH_DATA", str(tmp_path))
    folder = tmp_path / "scifact"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text('{"_id": 7, "title": "Cats", "text": "Cats sleep."}\n', encoding="utf-8")
    queries = '{"_id": 1, "text": "Cats sleep a lot."}\n{"_id": 2, "text": "Nobody judged this."}\n'
    (folder / "queries_train.jsonl").write_text(queries, encoding="utf-8")
    (folder / "train.tsv").write_text("query-id\tcorpus-id\tscore\n1\t7\t1\n1\t8\t0\n", encoding="utf-8")
    assert data.scifact() == ([Passage("7", "Cats", "Cats sleep.")], [Question("1", "Cats sleep a lot.", {"7": 1})])


def test_without_data_one_line_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_BOT_BENCH_DATA", raising=False)
    with pytest.raises(SystemExit, match="Set RAG_BOT_BENCH_DATA to the folder"):
        data.xquad()


@pytest.mark.skipif("RAG_BOT_BENCH_DATA" not in os.environ, reason="RAG_BOT_BENCH_DATA names no folder with the data sets")
def test_the_real_data_is_whole() -> None:
    passages, questions = data.xquad()
    text = {passage.id: passage.text for passage in passages}
    assert (len(passages), len(questions)) == (240, 1190)
    assert all(answer in text[i] for question in questions for i in question.relevant for answer in question.answers)
    for passages, questions in (data.scifact(), data.mtrag("clapnq", "lastturn"), data.mtrag("cloud", "rewrite")):
        ids = {passage.id for passage in passages}
        assert len(ids) == len(passages)
        assert all(question.relevant.keys() <= ids for question in questions)


# --- indexes and the cache of vectors


class CountingEmbedder(HashEmbedder):
    """Counts the texts that it embeds."""

    def __init__(self) -> None:
        self.texts = 0

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Embedded:
        self.texts += len(texts)
        return super().embed_passages(texts, spans)


def test_an_index_of_passages_embeds_each_text_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FOLDER", tmp_path)
    embedder = CountingEmbedder()
    with index_of(ANIMALS, "animals", embedder=embedder) as index:
        assert index.counts() == (3, 3)
        assert index.search("Who makes honey?", 1)[0].document.source == "bees/1"
        chunk = index.chunks_of(index.search("honey queen", 1)[0].document.document_id)[0]
        vector = embedder.embed_queries(["A hive holds one queen."])[0]
        one, two = index.sentence_cosines(vector, [chunk.id])[chunk.id]
        assert two > 0.9 > one
    assert embedder.texts == 3
    index_of([*ANIMALS, Passage("tea", "Tea", "Tea is brewed from leaves.")], "more", embedder=embedder).close()
    assert embedder.texts == 4


def test_a_cached_vector_is_the_one_that_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FOLDER", tmp_path)
    texts, spans = ["Bees make honey. They dance.", "Bees make honey. They dance."], [[(0, 16), (17, 28)], [(0, 28)]]
    embedder = CountingEmbedder()
    made, again = (cache.embed(texts, spans, embedder, "bees") for _ in range(2))
    assert embedder.texts == 2
    direct = HashEmbedder().embed_passages(texts, spans)
    for one in (made, again):
        np.testing.assert_allclose(one.passages, direct.passages, atol=1e-3)
        assert [len(sentences) for sentences in one.sentences] == [2, 1]
        np.testing.assert_allclose(one.sentences[0], direct.sentences[0], atol=1e-3)


# --- results


def test_figures_keep_four_digits_that_count() -> None:
    assert results.rounded({"a": 0.123456, "b": [12345.678, 3], "c": "x", "d": True}) == {
        "a": 0.1235,
        "b": [12346.0, 3],
        "c": "x",
        "d": True,
    }


def test_a_table_is_aligned_markdown() -> None:
    table = results.Table("Speed", ("what", "chunks/s"), [["ours", 41.26789], ["theirs", 12345]], "Higher is better.")
    assert results.markdown(table) == (
        "**Speed**\n\n"
        "| what   | chunks/s |\n"
        "| ------ | -------- |\n"
        "| ours   | 41.27    |\n"
        "| theirs | 12,345   |\n\n"
        "Higher is better."
    )


def test_what_was_asked_for_is_said_to_be_met_or_not() -> None:
    assert results.Asked("ratio", 3.6, at_least=3.5).row() == ["ratio", 3.6, ">= 3.5", "yes"]
    assert results.Asked("milliseconds", 51.0, at_most=50).row() == ["milliseconds", 51.0, "<= 50", "no"]


def test_the_report_shows_what_was_saved(tmp_path: Path) -> None:
    table = results.Table("Ways to search", ("data", "dense"), [["xquad", 0.91234]])
    out = tmp_path / "results"
    results.save("retrieval", results.Result({"xquad": 0.91234}, [table]).as_dict(), out, quick=False, seconds=61.4)
    results.save("answers", {"questions": 10, "rows": [{"max_wrong": 0.1, "right": 0.5}]}, out, quick=True, seconds=2)
    saved = json.loads((out / "retrieval.json").read_text(encoding="utf-8"))
    assert saved["figures"] == {"xquad": 0.9123}
    assert saved["machine"]["cores"] >= 1
    assert main(["report", "--out", str(out)]) == 0
    page = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert page.index("## retrieval:") < page.index("## answers:")
    assert "| xquad | 0.9123 |" in page
    assert "| 0.1       | 0.5   |" in page
    assert page.count("quick run") == 1


# --- the registry


def test_the_page_lists_what_can_be_run() -> None:
    page = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| (yes|no) \|", page, re.MULTILINE))
    assert rows == {name: "yes" if benchmark.in_all else "no" for name, benchmark in BENCHMARKS.items()}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_the_registry_names_is_there(name: str) -> None:
    module, _, function = BENCHMARKS[name].place.partition(":")
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    assert re.search(rf"^def {function}\(", source, re.MULTILINE)


def test_names_are_chosen_once_and_unknown_ones_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen([]) == chosen(["all"]) == in_all()
    assert chosen(["latency", "all"]) == ["latency", *[name for name in in_all() if name != "latency"]]
    with pytest.raises(SystemExit):
        main(["speed"])
    assert "There is no benchmark 'speed'; there are: all, ingest_speed" in capsys.readouterr().err


# --- parsers

TABLE = "| City | Night rate |\n| --- | --- |\n| Oslo | 210 EUR |\n| Lisbon | 140 EUR |\n"


def test_words_are_those_of_the_text_and_not_of_markdown() -> None:
    assert parsers.words_of("## A [link](http://x.y)<!-- image --> **bold** a_b 3.5 한국어 東京 &amp;") == [
        "a", "link", "bold", "a", "b", "3", "5", "한국어", "東", "京",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (TABLE, 3),
        ("City Night rate\nOslo 210 EUR\nLisbon 140 EUR", 3),
        ("City\nNight rate\nOslo\n210 EUR\nLisbon | 140 EUR", 1),
        ("Night rate City\nOslo and 210 EUR\nOslo 210 EURO", 0),
    ],
)
def test_a_row_is_found_where_one_line_holds_its_cells_in_order(text: str, rows: int) -> None:
    [table] = parsers.tables_of(f"Before.\n\n{TABLE}\nAfter.")
    assert table == [["city", "night rate"], ["oslo", "210 eur"], ["lisbon", "140 eur"]]
    assert parsers.rows_found(table, [" ".join(parsers.words_of(line)) for line in text.splitlines()]) == rows


def test_words_are_found_as_often_as_they_are_there() -> None:
    score = parsers.Score()
    parsers.score_text(score, "one two two three", "two one two")
    assert (score.words, score.neighbours) == ([3, 4], [1, 3])
    assert score.shares()["tables"] is None


def test_a_library_that_is_missing_slow_or_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = tmp_path / "good.md", tmp_path / "bad.pdf"
    good.write_text("# Title\n\nSome text.\n", encoding="utf-8")
    bad.write_bytes(b"%PDF-1.7 rubbish")
    scores, missing = parsers.measured("ours", [parsers.Case(good, "md", "Title Some text."), parsers.Case(bad, "pdf", "x")])
    assert (missing, scores["md"].words, scores["md"].failed, scores["pdf"].failed) == ("", [3, 3], 0, 1)
    assert "broken PDF" in scores["pdf"].reasons[0]
    script = tmp_path / "child.py"
    script.write_text("import sys, time\nprint('{}', flush=True)\nsys.stdin.readline()\ntime.sleep(float(sys.argv[1]))\n")
    monkeypatch.setattr(parsers, "CHILD", script)
    monkeypatch.setattr(parsers, "SECONDS", 1.0)
    for name, reason in (("0", "the process ended"), ("60", "more than 1 s")):
        child = parsers.Child(name)
        assert child.read(good)["error"] == reason
        child.close()
