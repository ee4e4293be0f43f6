import pytest

from domain.takeover.plan import Generation, GenerationEvidence

G1, G2, G3 = Generation


@pytest.mark.parametrize(
    ("evidence", "possible"),
    [
        (GenerationEvidence(), {G1, G2, G3}),
        (GenerationEvidence("0.1.0"), {G1, G2}),
        (GenerationEvidence("0.1.0", redis_keys=0), {G2}),
        (GenerationEvidence("0.1.0", redis_keys=5), {G1}),
        (GenerationEvidence("0.2.0"), {G2, G3}),
        (GenerationEvidence("0.2.0", written_by_older=True), {G2}),
        (GenerationEvidence("0.2.0", written_by_older=False), {G3}),
        (GenerationEvidence(written_by_older=True), {G1, G2}),
        (GenerationEvidence(written_by_older=False), {G1, G2, G3}),
        (GenerationEvidence("9.9.9", written_by_older=True, redis_keys=1), {G1}),
        (GenerationEvidence("0.2.0", redis_keys=5), {G1, G2, G3}),
    ],
)
def test_the_generations_are_those_that_fit_all_evidence(evidence: GenerationEvidence, possible: set[Generation]):
    assert evidence.possible == possible


def test_each_piece_of_evidence_is_a_sentence():
    assert list(GenerationEvidence().sentences()) == []
    assert len(list(GenerationEvidence("0.2.0", written_by_older=True, redis_keys=1).sentences())) == 3
    assert next(iter(GenerationEvidence(written_by_older=False).sentences())).startswith("No live session")
