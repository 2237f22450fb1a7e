from plugin import passages, survey

PAGE = "Menu\n\nThe tower in Pisa leans by almost four degrees to the south today.\n\n" + (
    "Tickets for all the other monuments on the square are sold at the office.\n\n"
)


def search__web_search(query, count):
    if query == "broken":
        raise ValueError("the provider is down")
    return {"hits": [{"url": "https://www.a.example/pisa/", "title": "Pisa"}]}


def search__fetch(url, max_chars):
    return {"url": url, "title": None, "text": PAGE}


def test_only_passages_that_share_words_with_the_question_are_kept():
    assert passages(PAGE, "how far does the tower lean in Pisa", 2) == [PAGE.split("\n\n")[1]]


def test_a_page_is_read_once_for_all_questions():
    answers = survey(["tower Pisa degrees", "tower of Pisa"])["answers"]
    assert [len(found) for found in answers.values()] == [1, 0]


def test_a_failing_search_does_not_spoil_the_others():
    found = survey(["broken", "tower Pisa"])
    assert len(found["answers"]["tower Pisa"]) == 1
    assert "the provider is down" in found["problems"][0]
