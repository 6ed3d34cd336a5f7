"""Tests of attention scores from queries and keys, against values by hand and against torch's attention."""

import pytest
import torch
from support.outputs import answers, layers, value
from torch.nn import functional as F

from edgekd.distillation.losses.attention_maps import AttentionMaps, _scores
from edgekd.errors import ConfigError
from edgekd.models.text_encoder import TextEncoder
from edgekd.nn.layers import Networks, survey

TOKENS = torch.zeros(6, dtype=torch.int32)


def attention_loss(student, teacher, heads=(1, 1), **options):
    loss = AttentionMaps(**options)
    networks = (layers(outputs.features, heads=count) for outputs, count in zip((student, teacher), heads, strict=True))
    loss.connect(Networks(*networks, classes=2, samples=8))
    return value(loss, student, teacher)


def attention(query, key):
    return answers(None, **{"a.query": query, "a.key": key})


def test_scores_of_one_head_by_hand():
    # One token of width 4: (1 * 2 + 1 * 2 + 0 + 0) / sqrt(4) = 2, against (1 * 1) / sqrt(1) = 1
    student, teacher = attention([[[1.0, 1, 0, 0]]], [[[2.0, 2, 5, 5]]]), attention([[[1.0]]], [[[1.0]]])
    assert attention_loss(student, teacher) == pytest.approx(1)


def test_each_head_is_compared_with_the_teachers():
    # Two heads of width 1: scores 1 * 2 and 1 * 3, against 1 * 1 and 1 * 0
    student, teacher = attention([[[1.0, 1.0]]], [[[2.0, 3.0]]]), attention([[[1.0, 1.0]]], [[[1.0, 0.0]]])
    assert attention_loss(student, teacher, heads=(2, 2)) == pytest.approx((1 + 9) / 2)


def test_heads_that_differ_in_number_are_averaged():
    # Two heads score 2 and 3, so 2.5; four score 0, 1, 0, 0, so 0.25
    student = attention([[[1.0, 1.0]]], [[[2.0, 3.0]]])
    teacher = attention([[[1.0, 1.0, 1.0, 1.0]]], [[[0.0, 1.0, 0.0, 0.0]]])
    assert attention_loss(student, teacher, heads=(2, 4)) == pytest.approx(2.25**2)


def test_a_users_network_can_be_told_its_heads():
    student, teacher = attention([[[1.0, 1.0]]], [[[2.0, 3.0]]]), attention([[[1.0, 1.0]]], [[[1.0, 0.0]]])
    assert attention_loss(student, teacher, heads=(None, 2), student_heads=2) == pytest.approx(5)
    with pytest.raises(ConfigError, match="how many heads the student's 'a") as refused:
        attention_loss(student, teacher, heads=(None, 2))
    assert "student_heads" in refused.value.remedy
    with pytest.raises(ConfigError, match="no multiple of 3 heads"):
        attention_loss(student, teacher, heads=(None, 2), student_heads=3)


def test_scores_are_what_torch_attends_by():
    q, k, v = (torch.randn(2, 5, 8) for _ in range(3))
    q4, k4, v4 = (x.unflatten(2, (4, 2)).transpose(1, 2) for x in (q, k, v))
    mixed = _scores(q, k, heads=4).softmax(-1) @ v4
    assert torch.allclose(mixed, F.scaled_dot_product_attention(q4, k4, v4), atol=1e-6)


def test_text_encoders_are_matched_by_depth_with_their_own_heads():
    small = TextEncoder(2, (6,), vocabulary=9, width=8, heads=2, layers=2, hidden=8)
    large = TextEncoder(2, (6,), vocabulary=9, width=12, heads=4, layers=4, hidden=8)
    loss = AttentionMaps()
    loss.connect(Networks(survey(small, TOKENS), survey(large, TOKENS), 2, 8))
    assert [(q.student.name, q.teacher.name) for q, _ in loss.attentions] == [
        ("blocks.0.attention.query", "blocks.1.attention.query"),
        ("blocks.1.attention.query", "blocks.3.attention.query"),
    ]
    assert [k.teacher.name for _, k in loss.attentions] == ["blocks.1.attention.key", "blocks.3.attention.key"]
    assert loss.heads == [(2, 4), (2, 4)]
    loss = AttentionMaps(["blocks.0.attention:blocks.3.attention"])
    loss.connect(Networks(survey(small, TOKENS), survey(large, TOKENS), 2, 8))
    assert [pair.teacher.name for pair in loss.pairs] == ["blocks.3.attention.query", "blocks.3.attention.key"]


def test_attentions_can_have_other_names():
    student = answers(None, **{"a.q_lin": [[[1.0]]], "a.k_lin": [[[3.0]]]})
    assert attention_loss(student, student, query="q_lin", key="k_lin") == 0
    with pytest.raises(ConfigError, match="no attention with modules 'query' and 'key'") as refused:
        attention_loss(student, student)
    assert "a.q_lin" in refused.value.remedy


def test_networks_that_read_other_tokens_are_refused():
    one, two = torch.rand(1, 1, 4), torch.rand(1, 2, 4)
    with pytest.raises(ConfigError, match="token with token"):
        attention_loss(attention(one, one), attention(two, two))
