"""The clause against its terms: where the words that customers read say something else than the terms.

It reads German and English by tables of words. Periods that are not the window (of a refund, of the statutory right of
withdrawal, of opening) and channels that are not for cancelling (of a confirmation, or excluded) do not count. It may
miss a difference, so it proves nothing; a clause that says what its terms say must have none.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import phonenumbers

from refunds.domain.contact_points import Channel
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.regions import country_of
from refunds.domain.terms import Terms


class MismatchKind(StrEnum):
    """How a clause differs from a term."""

    OTHER_NUMBER = "other_number"
    OTHER_UNIT = "other_unit"
    OTHER_WEEKDAYS = "other_weekdays"
    CHANNEL_NOT_ACCEPTED = "channel_not_accepted"
    CHANNEL_NOT_NAMED = "channel_not_named"
    UNOFFICIAL_CONTACT_POINT = "unofficial_contact_point"


class Mismatch(NamedTuple):
    """A difference: the clause's language, its kind, the clause's words (empty if it lacks some), the term's name."""

    language: str
    kind: MismatchKind
    said: str
    term: str


_Found = Iterator[tuple[MismatchKind, str, str]]

_COUNTED = """ein,erst,one,first zwei,zweit,two,second drei,dritt,three,third vier,viert,four,fourth
fünf,fünft,five,fifth sechs,sechst,six,sixth sieben,siebt,seven,seventh acht,eight,eighth neun,neunt,nine,ninth
zehn,zehnt,ten,tenth elf,elft,eleven,eleventh zwölf,zwölft,twelve,twelfth dreizehn,dreizehnt,thirteen,thirteenth
vierzehn,vierzehnt,fourteen,fourteenth"""
_VALUES = {word: value for value, row in enumerate(_COUNTED.split(), 1) for word in row.split(",")}
_VALUES |= {"a": 1, "an": 1, "zwanzig": 20, "twenty": 20, "vierundzwanzig": 24, "twenty-four": 24, "dreißig": 30}
_VALUES |= {"thirty": 30, "achtundvierzig": 48, "forty-eight": 48}
_VAGUE = {"ein", "a", "an", "erst", "first"}  # they count days only after "within" or "by"

_NUMBER = rf"(?:\d{{1,3}}(?:\.(?=\s)|st|nd|rd|th)?|(?:{'|'.join(sorted(_VALUES, reverse=True))})(?:e[mnrs]?)?)"
_DAY = r"(?:tag(?:e[ns]?|s|esfrist)?|tägig\w*|days?)"
_DURATION = re.compile(
    rf"""
    (?P<lead>\b(?:innerhalb|binnen|in|bis|spätestens|within|by|until|than)\s+
        (?:(?:von|zu[mr]?|am|de[rsmn]|ende|ablauf|nächsten|ersten|of|the|end|next|first)\s+){{0,5}})?
    (?P<said>(?<![\w.,:/§€$-])(?<!§\s)(?P<number>{_NUMBER})
        (?:\s*(?:[-\u2013(/]|bis|oder|und|to|or|and)\s*(?P<again>{_NUMBER})\)?)?
        [\s-]*(?:(?:volle|ganze|aufeinanderfolgende|full|whole|clear|consecutive)[mnrs]?\s+)?
        (?:(?P<business>(?:werk|arbeits|geschäfts|bank|wochen)tag\w*|(?:business|working|work|banking|week)[\s-]?days?
            |{_DAY}(?=[\s,(]{{1,3}}(?:ohne|außer|excluding|except)\b[^.;]{{0,30}}(?:samst|wochenend|satur|weekend)))
        |(?P<days>{_DAY})
        |kalendertag\w*|calendar[\s-]days?|stunden?|stündig\w*|hours?|hrs|(?<=24|48|72)h
        |wochen?|wöchig\w*|weeks?|monat\w*|months?)(?!\w))
    (?!\s+(?:am|pro|die|in\sder|an?|per|each)\s+(?:tag|woche|monat|day|week|month)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_WEEKDAY = {"mo": 0, "di": 1, "tu": 1, "mi": 2, "we": 2, "do": 3, "th": 3, "fr": 4, "sa": 5, "so": 6, "su": 6}
_WEEK = re.compile(
    rf"[\s,(]{{1,3}}((?P<first>{'|'.join(_WEEKDAY)})\w*\.?\s*(?:bis|to|through|[-\u2013])\s*(?P<last>{'|'.join(_WEEKDAY)})\w*)",
    re.IGNORECASE,
)

_SENTENCE = re.compile(r";\s+|(?<=\w[^\d\s][.!?])\s+(?=[^a-zäöü\d+])|\n\s*(?=[\n*•\u2013-])")
_BESIDE = re.compile(
    r"""(?!.*(?:storn|cancel)).*(?:widerruf|withdraw)|.*(?:verbraucherrecht|consumer\s(?:contracts|rights)|cooling-off)
    |.*\b(?:am|ab\sdem|on\sthe|from\sthe)\s\S+\s(?:werktag|(?:business|working)\sday)\b.*(?:nicht\smehr|no\slonger)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
"""A sentence about the statutory right of withdrawal, or about the first day after the window."""
_ANCHORED = re.compile(
    r"""(?:\s*\([^)]*\))?\s+(?:nach|ab|seit|after|from|of|following)\b
    (?:(?!storn|cancel|eingang|zugang|erhalt|receipt|receiv|contract|vertrag|order|bestell)[^.;!?]){0,60}?
    (?:leistung|erbr|bereitstell|freischalt|aktivier|service|provi|activat)""",
    re.IGNORECASE | re.VERBOSE,
)
"""What follows a period that is the window, whatever comes before it: it begins with the service."""
_CUE = re.compile(
    r"""(?P<other>widerruf\w*|withdr\w*|(?:statutory|legal)\sright\s(?:to|of)\s\w+|gesetzlich\w*|statutory|geld(?!-zurück)
        |erstatt\w*|refund\w*|rückzahl\w*|reimburs\w*|repa[yi]\w*|money(?!-back)|betr[aä]g\w*|amount|zahl\w*|pa(?:y|id)\w*
        |credit\w*|gutschr\w*|antwort\w*|beantwort\w*|repl(?:y|ies)|respon\w*|answer\w*|bearbeit\w*|process\w*|gültig\w*
        |valid\w*|laufzeit|kündig\w*|kündbar|terminat\w*|gewährleist\w*|garantie\w*|warranty|liefer\w*|deliver\w*
        |erreichbar|geöffnet|\bopen\w*|hotline|aktivier\w*|activat\w*|freischalt\w*|bestätig\w*|confirm\w*|\bsent\b
        |\brent\w*|miet\w*|record\w*|prüf\w*|verlänger\w*|exten[ds]\w*|wir\srufen|rückruf\w*|call\s(?:you|back)
        |(?:nach(?:dem)?|ab|seit|after|of|from|upon|following)\s
            (?:(?:sie|de[rm]|einer|ihrer|eingang|zugang|erhalt|you|the|your|a|receipt|receiving|of)\s){0,4}(?:storn|cancel)\w*)
    |storn\w*|cancel\w*|zurücktret\w*|rücktritt\w*|\bfrist\w*|window|geld-zurück[\w-]*|money-back
    |\banruf\w*|\brufen|schreib\w*|meld\w*|mitteil\w*|inform\w*|\bcall\b|write|contact\w*|notify|\btell""",
    re.IGNORECASE | re.VERBOSE,
)
"""What a period is about: the cue that is nearest to it decides, of two as near the one before it."""

_SEGMENT = re.compile(r",\s|[.!?;:]\s|\b(?:und|aber|sondern|wenn|falls|and|but|if|when)\b", re.IGNORECASE)
_ASIDE = re.compile(
    r"""\b(?:(?:nicht|not)\b(?!\s(?:nur|zufrieden|only|satisfied|happy))|kein\w*|weder|ausgeschlossen|no|never|neither
        |cannot|\w+n't|wir\s(?:bestätigen|rufen|antworten|senden|schicken)|(?:senden|schicken)\swir|(?:is|are)\ssent
        |(?:bestätigung|confirmation)\s(?:per|by)|(?:erhalten|bekommen)\ssie
        |we(?:'ll|\swill|\sshall)?\s(?:call|confirm|reply|answer|send)|you(?:'ll|\swill)?\s(?:get|receive))\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""In a part of a sentence that excludes a channel, or says how the vendor writes to the customer."""
_NOT_OURS = re.compile(
    r"\b(?:virtuell|bestell|kauf|gekauft|gemietet|ihr|virtual|order|purchase|rented|your)\w*\s(?:\w+\s)?"
    r"(?:telefonnummer|rufnummer|(?:tele)?phone\snumber|e-?mail[\s-]?add?ress)\w*",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[\w.+-]{1,64}@\w[\w-]*(?:\.[\w-]+)+")
_MENTION = {
    Channel.PHONE: re.compile(
        r"\btelef\w*|\btel\b|\banruf(?:en?|s)?\b|\banzurufen\b|\bruf(?:en?)?\b[^.!?;|]{0,80}?\ban\b|fernmündlich|\b\w*hotline"
        r"|\b(?:tele)?phon(?:e|ing)\b|\bcall(?:ing)?\b",
        re.IGNORECASE,
    ),
    Channel.EMAIL: re.compile(
        rf"\be-?mail\w*|\b(?:per|eine|unsere)\smail\b|\bmailen\b|{_ADDRESS.pattern}", re.IGNORECASE
    ),
}


def mismatches(terms: Terms) -> list[Mismatch]:
    """List where the clauses say something else than the terms, each difference once; empty without clauses."""
    found: dict[Mismatch, None] = {}
    for language in ("de", "en"):
        sentences = [one for one in _SENTENCE.split(getattr(terms.texts, language) or "") if not _BESIDE.match(one)]
        for one in (*_windows(sentences, terms), *_channels(sentences, terms)):
            found[Mismatch(language, *one)] = None
    return list(found)


def _windows(sentences: list[str], terms: Terms) -> _Found:
    """Yield what `_compared` finds for each period in the sentences that means the window and is not vague."""
    cues: list[re.Match[str]] = []
    for sentence in sentences:
        cues = list(_CUE.finditer(sentence)) or cues[-1:]
        for period in _DURATION.finditer(sentence):
            if (period["lead"] or _stem(period["number"]) not in _VAGUE) and _is_window(period, cues):
                yield from _compared(period, terms)


def _is_window(period: re.Match[str], cues: list[re.Match[str]]) -> bool:
    """Tell whether a period in a clause means the window, and not, say, a refund's; `cues` are matches of `_CUE`."""
    if _ANCHORED.match(period.string, period.end()):
        return True
    nearest = min(cues, key=lambda cue: max(period.start() - cue.end(), cue.start() - period.end()), default=None)
    return nearest is None or nearest["other"] is None


def _compared(period: re.Match[str], terms: Terms) -> _Found:
    """Yield any difference in unit or number, and in weekdays, between the terms and a period that means the window."""
    said = " ".join(period["said"].split())
    every_day = set(terms.business_week) == set(WEEKDAYS)
    if not period["business"] and not (period["days"] and every_day):
        yield MismatchKind.OTHER_UNIT, said, "window_business_days"
    elif {_value(word) for word in period.group("number", "again") if word} != {terms.window_business_days}:
        yield MismatchKind.OTHER_NUMBER, said, "window_business_days"
    week = _WEEK.match(period.string, period.end())
    if week and terms.business_week != "country":
        first, last = (_WEEKDAY[name.lower()] for name in week.group("first", "last"))
        if set(WEEKDAYS[first : last + 1]) != set(terms.business_week):
            yield MismatchKind.OTHER_WEEKDAYS, week[1], "business_week"


def _stem(word: str) -> str:
    """Return a numeral in lower case, and without its German ending, such as -en, if only that makes it known."""
    word = word.lower()
    return word if word in _VALUES else re.sub(r"e[mnrs]?$", "", word)


def _value(word: str) -> int:
    """Return the number of a word that begins with digits or is a numeral; raises `KeyError` for other words."""
    digits = re.match(r"\d+", word)
    return int(digits[0]) if digits else _VALUES[_stem(word)]


def _channels(sentences: list[str], terms: Terms) -> _Found:
    """Yield how the channels and contact points that the sentences name differ from those of the terms.

    That an accepted channel is not named counts only if another is. A named contact point is compared only if the terms
    have some for its channel; one of the terms need not be named.
    """
    parts = [part for one in sentences for part in _SEGMENT.split(_NOT_OURS.sub(" ", one)) if not _ASIDE.search(part)]
    text = " | ".join(parts)
    points = {
        Channel.PHONE: _numbers(text, country_of(terms.region)),
        Channel.EMAIL: {a: a.lower() for a in _ADDRESS.findall(text)},
    }
    words = {channel: mention.search(text) for channel, mention in _MENTION.items()}
    named = {channel: word[0] if word else next(iter(points[channel]), "") for channel, word in words.items()}
    for channel, said in named.items():
        term = terms.channel(channel)
        if said and not term.accepted:
            yield MismatchKind.CHANNEL_NOT_ACCEPTED, said, channel.value
        elif term.accepted and not said and any(named.values()):
            yield MismatchKind.CHANNEL_NOT_NAMED, "", channel.value
        elif term.points:
            for point, spelt in points[channel].items():
                if spelt not in term.points:
                    yield MismatchKind.UNOFFICIAL_CONTACT_POINT, point, channel.value


def _numbers(text: str, country: str) -> dict[str, str]:
    """Return the telephone numbers in a text as they are written, each with its spelling in E.164.

    A number with `+` must be possible; one without is read as dialled in `country`, and must be valid.
    """
    return {
        found.raw_string: phonenumbers.format_number(found.number, phonenumbers.PhoneNumberFormat.E164)
        for found in phonenumbers.PhoneNumberMatcher(text, country, leniency=phonenumbers.Leniency.POSSIBLE)
        if found.raw_string.startswith("+") or phonenumbers.is_valid_number(found.number)
    }
