"""What countries' own law says about business days that lists of public holidays do not show.

Some countries set working weekends and moved holidays by decree, year by year; and the law on periods of some adds days
to the public holidays.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Decrees(NamedTuple):
    """Yearly decrees on working weekends and moved or additional holidays.

    `source` is the law that provides for them; `ended` the last year for which there is one, None if they go on.
    `december`: the first day of the December before a year that its decree may touch. `edition` is the first edition of
    the rules that knows of them.
    """

    source: str
    ended: int | None = None
    december: int | None = None
    edition: int = 3


DECREES = {
    "AM": Decrees("Law on Holidays and Memorable Days, decisions under Article 1 (arlis.am)", 2021),
    "AR": Decrees("Ley 27.399, art. 7 (servicios.infoleg.gob.ar)"),
    "AZ": Decrees("Labour Code, Article 105 (e-qanun.az)"),
    "BG": Decrees("Labour Code, Article 154(2) (lex.bg)", 2016),
    "BY": Decrees("Labour Code, Article 150 (pravo.by)"),
    "CN": Decrees("General Office of the State Council, notice on the holidays of the year (gov.cn)", december=29),
    "HU": Decrees("Act I of 2012 (Labour Code), section 102(5) (njt.hu)"),
    "KG": Decrees("Labour Code, on the transfer of days off (cbd.minjust.gov.kg)"),
    "KZ": Decrees("Labour Code, Article 85 (adilet.zan.kz)"),
    "LV": Decrees("Labour Law, section 133(4) (likumi.lv)"),
    "MM": Decrees("notification on the public holidays of the year (mofa.gov.mm)"),
    "PH": Decrees("proclamation on the holidays of the year; Republic Act 9492 (officialgazette.gov.ph)", edition=4),
    "PK": Decrees("Cabinet Division, circular on the public holidays of the year (cabinet.gov.pk)", edition=4),
    "RU": Decrees("Labour Code, Article 112 (pravo.gov.ru)"),
    "TH": Decrees("resolutions of the Council of Ministers on the holidays of the year (ratchakitcha.soc.go.th)"),
    "TW": Decrees("calendar of working days of government agencies (dgpa.gov.tw)"),
    "UA": Decrees("Labour Code, Article 67; suspended by Law 2136-IX, Article 6 (zakon.rada.gov.ua)", 2022),
    "UZ": Decrees("decree of the President on additional days off of the year (lex.uz)"),
    "VN": Decrees("Labour Code 45/2019/QH14, Article 112(3) (vanban.chinhphu.vn)"),
}


class PeriodLaw(NamedTuple):
    """The days that a country's law on periods treats as public holidays.

    `source` is the law; `categories` are those of the `holidays` package in which the days are, `names` their names
    there, in the country's default language, each with the German one, which the package does not have.
    """

    source: str
    categories: tuple[str, ...]
    names: Mapping[str, str]


PERIOD_LAWS = {
    "FI": PeriodLaw(
        "https://www.finlex.fi: laki säädettyjen määräaikain laskemisesta 150/1930, section 5",
        ("public", "unofficial", "workday"),
        {"Juhannusaatto": "Mittsommerabend", "Jouluaatto": "Heiligabend"},
    ),
    "NL": PeriodLaw(
        "https://wetten.overheid.nl/BWBR0002448: Algemene termijnenwet, article 3",
        ("public", "optional"),
        {"Goede vrijdag": "Karfreitag", "Bevrijdingsdag": "Tag der Befreiung"},
    ),
    "SE": PeriodLaw(
        "https://www.riksdagen.se: lag (1930:173) om beräkning av lagstadgad tid, section 2",
        ("public", "de_facto"),
        {"Midsommarafton": "Mittsommerabend", "Julafton": "Heiligabend", "Nyårsafton": "Silvester"},
    ),
}
"""By country; each day is one in every year that the data covers, in the Netherlands 5 May from 1982 on."""
