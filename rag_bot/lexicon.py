"""Words that are checked by what they mean (numbers, months, units, negations), and words that mean little."""

from __future__ import annotations

SMALL = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen".split()
    )
} | {word: 10 * tens for tens, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)}

SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
SHORT_SCALES = {"k": 10**3, "m": 10**6, "mn": 10**6, "mio": 10**6, "bn": 10**9}
"""What stands right behind the digits; `m` only where a currency stands before them, since else it means metres."""

ORDINALS = {
    word: value
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
        "sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        start=1,
    )
}

MONTHS = {
    form: number
    for number, name in enumerate(
        "january february march april may june july august september october november december".split(), start=1
    )
    for form in (name, name[:3])
} | {"sept": 9}

_FORMS = {
    "second": "second seconds sec secs",
    "minute": "minute minutes min mins",
    "hour": "hour hours hr hrs h",
    "day": "day days",
    "night": "night nights",
    "week": "week weeks",
    "month": "month months",
    "quarter": "quarters",
    "year": "year years yr yrs",
    "decade": "decades",
    "century": "centuries",
    "%": "percent percentage pct",
    "EUR": "eur euro euros",
    "USD": "usd dollar dollars",
    "pound": "gbp pound pounds lb lbs",
    "JPY": "jpy yen",
    "INR": "inr rupee rupees",
    "CHF": "chf franc francs",
    "cent": "cents",
    "mm": "mm millimetre millimetres millimeter millimeters",
    "cm": "cm centimetre centimetres centimeter centimeters",
    "m": "m metre metres meter meters",
    "km": "km kilometre kilometres kilometer kilometers",
    "mile": "mile miles mi",
    "foot": "foot feet ft",
    "inch": "inch inches",
    "yard": "yard yards",
    "mg": "mg milligram milligrams",
    "g": "g gram grams",
    "kg": "kg kilogram kilograms kilo kilos",
    "tonne": "tonne tonnes ton tons",
    "litre": "l litre litres liter liters",
    "ml": "ml millilitre millilitres milliliter milliliters",
    "acre": "acre acres",
    "hectare": "hectare hectares ha",
    "byte": "byte bytes",
    "bit": "bit bits",
    "kB": "kb kilobyte kilobytes kib",
    "MB": "mb megabyte megabytes mib",
    "GB": "gb gigabyte gigabytes gib",
    "TB": "tb terabyte terabytes tib",
    "PB": "pb petabyte petabytes",
    "Hz": "hz hertz",
    "kHz": "khz",
    "MHz": "mhz",
    "GHz": "ghz",
    "W": "w watt watts",
    "kW": "kw kilowatt kilowatts",
    "MW": "mw megawatt megawatts",
    "kWh": "kwh",
    "V": "volt volts",
    "ms": "ms millisecond milliseconds",
    "celsius": "celsius",
    "fahrenheit": "fahrenheit",
    "degree": "degree degrees",
}
UNITS = {form: unit for unit, forms in _FORMS.items() for form in forms.split()}
CODES = {form: UNITS[form] for form in "eur usd gbp jpy inr chf".split()}
"""Currencies that may stand before the figure."""

NEGATORS = frozenset(
    "not no never without none neither nor nothing nobody nowhere cannot cant dont except unless excluding hardly rarely "
    "seldom lack lacks lacked lacking avoid avoids avoiding n't non nicht kein keine keinen keiner nie niemals ohne pas jamais "
    "aucun aucune sans nunca niet geen nooit zonder".split()
)

_PAIRS = (
    "before after, minimum maximum, least most, more less, more fewer, above below, increase decrease, increased decreased, "
    "increases decreases, rise fall, rises falls, rose fell, earlier later, higher lower, largest smallest, highest lowest, "
    "longest shortest, oldest youngest, earliest latest, north south, east west, northern southern, eastern western, "
    "always never, accepted rejected, won lost, starts ends, opens closes, inside outside, paid unpaid"
)
OPPOSITES = {
    word: frozenset(other for pair in _PAIRS.split(", ") for other in pair.split() if word in pair.split() and other != word)
    for word in _PAIRS.replace(",", "").split()
}
"""Words of which one can't stand for the other."""

FLIPPED = {
    word: stem
    for stem, words in {
        "allow": "forbidden forbids forbid prohibited prohibits prohibit banned bans disallowed disallows",
        "possibl": "impossible",
        "abl": "unable",
        "valid": "invalid",
        "availabl": "unavailable",
        "support": "unsupported",
        "enabl": "disabled disables disable",
        "includ": "excluded excludes exclude",
        "paid": "unpaid",
        "correct": "incorrect",
        "legal": "illegal",
        "necessari": "unnecessary",
    }.items()
    for word in words.split()
}
"""Words that say "not" and a word that stands elsewhere: the stem of that word."""

CONNECTIVES = frozenset(
    "yes additionally however therefore thus hence furthermore moreover overall finally lastly also firstly secondly thirdly "
    "meanwhile besides consequently accordingly similarly likewise instead otherwise alternatively specifically generally "
    "typically usually essentially basically ultimately unfortunately fortunately surprisingly interestingly note noted "
    "important worth mentioned example instance regarding although though while despite since unlike whereas within during "
    "another others per via etc well even still yet rather quite indeed fact simply currently nevertheless nonetheless "
    "examples".split()
)
"""Words that join or introduce what is said, and say nothing by themselves."""

OPENINGS = CONNECTIVES | frozenset(
    "accept access add apply ask avoid based be become begin call check choose click close complete configure connect consider "
    "contact copy create define delete deploy determine disable do download edit enable ensure enter every find follow go "
    "have having include including install keep learn leave like log look maintain make many monitor move name navigate once "
    "open perform plan please prepare press provide put read refer remember remove replace report request restart return "
    "review run save search see select send set several share sign some start stop store submit switch take tell test try "
    "turn type understand update upgrade upload use using various verify view visit wait when work write become anyone "
    "everyone people someone users user employees customers each both either different certain according given due".split()
)
"""Common words that open a sentence: with their capital letter they could be taken for names."""

COMMON_ENDINGS = ("ally", "ately", "ously", "ively", "arly", "ently", "tion", "tions", "ment", "ments", "ness", "able", "ible")
"""Endings that words have and names hardly ever do."""

PLEASANTRY = frozenset("hello hi hey thanks thank welcome glad happy pleasure goodbye bye sorry".split())
"""A sentence that only is polite holds one of these."""

PLEASANTRIES = PLEASANTRY | frozenset(
    "there you you're very much so are i'm i am to be of for today good morning afternoon evening day and a the my your have "
    "great nice let me know if any more questions question anything else feel free ask please hope this that helps help".split()
)
"""What such a sentence may hold besides."""

TURNS = frozenset("but however although though while except only instead so because since yet unless and".split())
"""Words behind which something more is said."""
