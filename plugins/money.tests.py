from plugin import adds_up, hide_accounts, is_at_night, is_large


def test_a_payment_over_a_thousand_is_large():
    assert is_large(args={"amount": 1000.5})
    assert not is_large(args={"amount": "1000"})


def test_an_amount_that_cannot_be_read_is_large():
    assert is_large(args={"amount": "a lot"})


def test_five_in_the_morning_is_night():
    assert is_at_night(now="2026-03-04T05:59:00+00:00")
    assert not is_at_night(now="2026-03-04T06:00:00+00:00")


def test_a_report_is_scored_by_its_sum():
    report = "ann 10.50 EUR, bob 9.50 EUR"
    assert adds_up(report, "20")["score"] == 1.0
    assert adds_up(report, "21") == {"score": 0.0, "reason": "they add up to 20.00"}


def test_account_numbers_are_hidden():
    assert hide_accounts("paid to DE02120300000000202051.") == {"value": "paid to …2051."}
