"""vision-service as a process: what it answers to pictures, and to what is none."""

from __future__ import annotations

from functools import partial

import pytest
from answers import assert_problem
from domain_platform import HELD_OUT, Market, at_once, png, series, text_of
from platform_under_test import Platform
from vision_service.pictures import CLASSES

PNG = {"content-type": "image/png"}


def test_every_kind_of_waste_is_recognised(market: Market) -> None:
    """With a confidence that is its own probability, by the model that /vision/model tells of."""
    ada = market.person()
    card = market.ask("GET", "/vision/model", ada).json()
    assert sorted(card["classes"]) == sorted(CLASSES)
    assert card["accuracy"] > 0.9
    told = []
    for label in CLASSES:
        answer = market.ask("POST", "/vision/classifications", ada, content=png(label), headers=PNG).json()
        assert answer["probabilities"][answer["label"]] == answer["confidence"]
        assert answer["model"] == card["version"]
        told.append(answer["label"])
    assert told == list(CLASSES)


def test_a_batch_answers_each_picture_by_itself(market: Market) -> None:
    """What is no picture has a problem, in its place."""
    images = [text_of(png("metal")), "bm8gcGljdHVyZQ==", "%", text_of(png("paper"))]
    results = market.ask("POST", "/vision/batches", market.person(), json={"images": images}).json()[
        "results"
    ]
    assert [one.get("label") for one in results] == ["metal", None, None, "paper"]
    assert [one["problem"]["status"] for one in results[1:3]] == [422, 422]


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"not a picture", "image/png", 422),
        (b"", "image/jpeg", 422),
        (b"GIF89a", "image/gif", 415),
        (b"x", "", 415),
        (b"\0" * (4 * 1024 * 1024 + 1), "image/png", 413),
    ],
)
def test_what_is_no_picture_is_a_problem(
    market: Market, content: bytes, media_type: str, status: int
) -> None:
    """By what is wrong with it."""
    headers = {"content-type": media_type}
    answer = market.ask("POST", "/vision/classifications", market.admin, content=content, headers=headers)
    assert_problem(answer, status)


@pytest.mark.parametrize(
    "body",
    [{}, {"images": []}, {"images": ["a"] * 17}, {"images": [1]}, {"images": "a"}, {"images": ["a"], "x": 1}],
)
def test_a_bad_batch_is_a_problem(market: Market, body: dict[str, object]) -> None:
    """It names the field."""
    assert assert_problem(market.ask("POST", "/vision/batches", market.admin, json=body), 422)["errors"]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "classifications"), ("POST", "batches"), ("GET", "model")]
)
def test_pictures_are_for_people_with_a_token(market: Market, method: str, path: str) -> None:
    """Nobody else's are looked at."""
    assert_problem(market.ask(method, f"/vision/{path}", content=png("glass"), headers=PNG), 401)


def test_inference_is_measured(market: Market, market_platform: Platform) -> None:
    """By label, stage, confidence and batch size; refused ones by reason."""
    names = [
        'ecochain_inference_total{label="organic"}',
        'ecochain_inference_seconds_count{stage="model"}',
        "ecochain_inference_confidence_count",
        "ecochain_inference_batch_size_count",
        "ecochain_inference_batch_size_sum",
        'ecochain_inference_refused_total{reason="undecodable"}',
    ]
    vision, ada = market_platform.services["vision-service"], market.person()
    before = [series(vision, name) for name in names]
    images = [text_of(png("organic")), text_of(png("organic", HELD_OUT + 1)), ""]
    market.ask("POST", "/vision/batches", ada, json={"images": images})
    after = [series(vision, name) for name in names]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 2, 2, 1, 3, 1]


def test_nobody_waits_beyond_the_deadline(market: Market, market_platform: Platform) -> None:
    """Whoever gives a millisecond gets an answer, which says that there was no time."""
    headers = {**PNG, "x-deadline-ms": "1", "authorization": f"Bearer {market.person()['token']}"}
    url = market_platform.url("vision-service") + "/vision/classifications"
    assert_problem(market.client.post(url, content=png("glass"), headers=headers), 503)


def test_more_pictures_than_may_wait_are_refused_at_once(market: Market, market_platform: Platform) -> None:
    """With 503 and when to come back; the others are classified, and afterwards there is room again."""
    ada, batch = market.person(), {"images": [text_of(png("paper"))] * 16}
    answers = at_once([partial(market.ask, "POST", "/vision/batches", ada, json=batch)] * 12)
    results = [one for answer in answers if answer.status_code == 200 for one in answer.json()["results"]]
    refused = [one for one in results if "problem" in one]
    assert {one["problem"]["status"] for one in refused} == {503}
    assert any(one.get("label") == "paper" for one in results)
    vision = market_platform.services["vision-service"]
    assert series(vision, 'ecochain_inference_refused_total{reason="busy"}') >= 1
    alone = market.ask("POST", "/vision/batches", ada, json={"images": batch["images"][:1]})
    assert alone.json()["results"][0]["label"] == "paper"
