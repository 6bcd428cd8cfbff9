"""Done: what is read aloud and printed; how a cancellation is taken back, by whom, and until when."""

from refunds.records import spoken


def test_the_confirmation_is_in_the_customers_language_and_the_console_stays_in_the_agents(house, agent):
    done = house.cancel(house.register())
    page = agent.get(f"/console/cancellations/{done.cancellation_id}")
    german, english = (agent.follow(page, f"Confirmation in {lang}") for lang in ("German", "English"))
    assert (german.lang, english.lang) == ("de", "en")
    assert spoken(done.reference) in german.text
    assert spoken(done.reference) in english.text
    agent.follow(page, "Confirmation in German")
    assert agent.get("/console/").lang == "en"
