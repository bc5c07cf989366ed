"""Orders to a model: in a user's question (injection, jailbreak), and planted in a document or a passage.

Rules come first: they need a phrase that addresses a model, and look at every reading of the text that `normalise.views`
gives. What they don't know, the classifier judges, in questions only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ingest.inspect import Finding
from ingest.inspect.classifier import Classifier, Floats, Judgement, classifier
from ingest.inspect.normalise import View, maybe_encoded, plain, views
from ingest.sentences import split

SURE = 0.5
"""From this score on a finding is taken for an order; below, an order is only quoted, in a text about attacks."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """`pattern` is matched against the lower-case plain text, if one of `needs` stands in it: that is far quicker to look for.

    Rules with `everywhere` hold for questions, too.
    """

    kind: str
    note: str
    needs: tuple[str, ...]
    pattern: re.Pattern[str]
    score: float = 0.95
    everywhere: bool = True


def _rule(kind: str, note: str, needs: str, pattern: str, score: float = 0.95, everywhere: bool = True) -> _Rule:
    return _Rule(kind, note, tuple(needs.split("|")), re.compile(pattern), score, everywhere)


# Where an order begins: at the start of a sentence or clause, or after the words that lead up to one.
_ORDER = (
    r"(?:^|[.!?:;,\n\"'`(\[{<>*#=|/-]\s{0,3}|\b(?:please|now|then|and|just|must|should|shall|will|instead|also|simply|kindly|"
    r"you can|can you|could you|would you|want you to|need you to|you to|first|so|but|hereby|sudo|lets?|let's)\s)\s?"
)
_W = r"[\w'’-]{1,30}"
_PAST = (
    r"(?:previous(?:ly)?|prior|above|earlier|preceding|foregoing|former|initial|original|existing|old|past|system|developer's)"
)
_TOLD = (
    r"(?:instructions?|directions?|directives?|prompts?|commands?|orders|rules?|guidelines?|guidance|programming|training|"
    r"constraints?|restrictions?|system messages?|messages?|context|conversation|text|input|content)"
)
_OF_YOURS = (
    r"(?:instructions?|guidelines?|programming|training|rules|restrictions?|(?:content |safety )?filters?|prompt|directives?|"
    r"safeguards?|guardrails?|limitations?|ethics|moral\w*|alignment|polic(?:y|ies))"
)
_ANSWER = r"(?:answers?|repl(?:y|ies)|responses?|outputs?|completions?|generations?|elucidation)"
# Up to the end of the sentence; a full stop within a number or an address does not end it.
_ON = r"(?:[^.!?\n]|[.!?](?=[^\s]))"
_START = r"(?:^|[.!?:;\n\"'(\[*]\s{0,3})"

_RULES = (
    _rule(
        "answer",
        "urges a model to take over code",
        "code ",
        r"\b(?:don't|do not) (?:hesitate|forget) to (?:\w+ ){1,3}the (?:following|subsequent|below) "
        r"code (?:snippet|block|section|excerpt|segment)\b|"
        r"\bconsider \w+ing your code (?:by|with) (?:\w+ )?the (?:following|subsequent|below) "
        r"code (?:snippet|block|section|excerpt|segment)\b",
        0.9,
        False,
    ),
    _rule(
        "override",
        "tells a model to drop what it reads and say something",
        "ignor|disregard|forget|overrid",
        r"\b(?:ignore|disregard|forget|override)\s(?:all\s|the\s|any\s)?(?:(?:rest|remainder) of\s)?"
        r"(?:this|these|those|them(?=,? (?:and )?instead)|the|all|any|above|manual scoring)\b(?:\s(?:data|text|"
        r"document|content|"
        r"passage|context|information|input|record|report|resume|instructions?|above|below)){0,2},?\s(?:and|then|"
        r"instead|and then)\s"
        r"(?:instead\s|then\s|just\s|simply\s|only\s){0,2}(?:print|output|say|write|repeat|respond with|reply with|"
        r"focus|tell the)\b|"
        r"\boverride (?:the )?(?:manual|automatic|previous) (?:scoring|review|assessment|evaluation) and (?:output|"
        r"print|say|rate)\b",
        0.9,
        False,
    ),
    _rule(
        "role",
        "speaks as the system or the user of a chat",
        "system:|user:|assistant:",
        r"^[>*#\s-]{0,6}system: ?(?:focus|ignore|disregard|you (?:are|must|will)|provide|do not|respond|only)\b|"
        r"(?<!the )\buser: (?:[^.!?\n]{0,40}[.!?,] ?)?(?:next,? |now,? |then,? )?(?:please )?(?:could you |"
        r"can you |would you )?(?:please )?"
        r"(?:repeat|print|output|say|ignore)\b",
        0.9,
        False,
    ),
    _rule(
        "override",
        "tells a model to drop its instructions",
        "ignor|disregard|forget|overrid|bypass|neglect|follow|obey|attention",
        _ORDER + r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget|override|bypass|neglect|do not (?:follow|obey|comply with)|"
        r"don't (?:follow|obey)|stop (?:following|obeying)|pay no attention to)\s"
        rf"(?:(?:{_W}\s){{0,4}}?{_PAST}\s(?:{_W}\s){{0,2}}?{_TOLD}|"
        rf"(?:{_W}\s){{0,2}}?(?:instructions?|directions?|prompts?|rules?|commands?|text|everything|words)\s(?:{_W}\s)?"
        r"(?:above|before|you (?:were|have been|got|received))|"
        rf"(?:all|any|every|each)\s(?:of\s)?(?:the\s|these\s|those\s|my\s)?(?:instructions?|directions?|prompts?|safety \w+|"
        r"restrictions|(?:rules|guidelines)(?=\s?(?:$|[.,;!:]|and|you|from openai|that)))|"
        rf"(?:all (?:of )?)?your\s(?:{_W}\s){{0,2}}?{_OF_YOURS}|"
        r"(?:everything|anything|all|what(?:ever)?)\s(?:that\s)?(?:(?:you|was|were|is|has|i|they)\s)?(?:\w+\s){0,3}?"
        r"(?:above|before|told|said|instructed|previously|up to now|until now|so far))\b",
    ),
    _rule(
        "override",
        "gives a model new instructions",
        "new |your |end of ",
        r"(?:^|[.!?:\n]\s?|here are |these are |your |following are )(?:your )?new (?:instructions?|directives?|orders|task|"
        r"goal|"
        r"persona)(?: for you| for the (?:assistant|ai|model))? ?(?:are|is|:)|"
        r"\byour (?:only|real|true|new|actual) (?:goal|task|purpose|objective|job|instructions?) (?:is|are) (?:now|to)\b|"
        r"\bend of (?:the )?(?:system )?(?:prompt|instructions|context|document|data)\b.{0,40}\b(?:new|begin|start|now|user)\b",
    ),
    _rule(
        "prompt leak",
        "asks for a model's own instructions",
        "prompt|instruction|message|guideline|above|preceding",
        r"\b(?:reveal|show|print|output|repeat|display|tell|give|share|leak|dump|write|recite|paste|expose|disclose|provide|"
        r"list|"
        r"return|say|translate|summari[sz]e|encode|what (?:is|are|was|were)|what's|copy|quote|state|describe)\s"
        rf"(?:{_W}\s){{0,6}}?(?:(?:your|ur)\s(?:{_W}\s){{0,2}}?(?:system|initial|hidden|secret|original|internal|exact|full|"
        rf"own|"
        rf"starting|developer'?s?|confidential|base)\s(?:{_W}\s)?(?:prompts?|instructions?|directives?|message|guidelines|"
        rf"rules)|"
        r"your\s(?:(?:exact|full|entire|whole)\s)?prompt|your instructions?(?=\s?(?:$|[.!?,;:]|verbatim|word|exactly|"
        r"in full|back))|"
        r"the (?:(?:full|exact|entire|whole|original) )*(?:system|initial|hidden|developer|secret) (?:prompt|instructions?|"
        r"message)"
        r"(?! (?:on|in|of|for|field|box|text)\b))\b|"
        rf"\b(?:repeat|print|output|write|copy|echo|recite)\s(?:out\s)?(?:all|everything|(?:all )?the (?:words|text|"
        rf"sentences|lines|"
        rf"content|instructions?))\s(?:{_W}\s){{0,2}}?(?:above|before this|preceding|prior to this)\b",
    ),
    _rule(
        "persona",
        "gives a model a persona without rules",
        "anything now|mode|restrict|filter|rules|guidelines|limit|ethic|moral|censor|bound|polic|safety|constraint|chatgpt|"
        "language model|refuse|an ai|assistant|chatbot|llm| bot",
        r"\bdo anything now\b|"
        r"\b(?:dan|jailbreak(?:ed)?|god|evil|unrestricted|unfiltered|uncensored|chaos|opposite|sudo) mode (?:is |"
        r"has been )?(?:now )?"
        r"(?:enabled|activated|unlocked|on)\b|\bdeveloper mode (?:enabled|output|activated|unlocked)\b|"
        r"\b(?:enter|enable|activate|switch (?:in)?to|go into|turn on|you are (?:now )?in) (?:the )?(?:dan|jailbreak(?:ed)?|"
        r"evil|"
        r"unrestricted|unfiltered|uncensored|chaos|sudo|no[- ]limits?) mode\b|\byou are (?:now )?in (?:developer|debug|god|"
        r"root) mode\b|"
        r"\b(?:you are (?:now|an?|the|going to (?:be|act|play))|you're (?:now|an?)|you will (?:be|become|act)|act as|"
        r"act like|pretend "
        rf"(?:to be|you)|simulate|roleplay as|from now on)\s(?:{_W},?\s){{0,12}}?(?:without|no|free (?:of|from)|"
        rf"not bound by|freed from|"
        r"unbound by|not (?:restricted|limited|constrained) by|ignores?|(?:does|do)(?: not|n't) (?:follow|have|care about)|"
        r"has no|have no)\s"
        rf"(?:{_W}\s){{0,3}}?(?:restrictions|filters?|rules|guidelines|limitations|limits|ethics|ethical|morals?|morality|"
        rf"censorship|"
        r"content polic(?:y|ies)|openai|safety)\b|"
        rf"\b(?:amoral|unfiltered|uncensored|unrestricted|immoral|unethical)\s(?:(?:and\s)?{_W},?\s){{0,3}}?(?:ai|chatbot|"
        rf"bot|assistant|"
        r"language model|chatgpt|gpt|llm)\b|"
        r"\b(?:you are|you're) (?:no longer|not) (?:chatgpt|an ai\b|a language model|bound by|restricted by)|"
        r"\b(?:ai|bot|chatbot|chatgpt|assistant|model|character|he|she|it|dan|you)\b(?: \w+)? never (?:refuses?|says? no|"
        r"rejects?)\b",
    ),
    _rule(
        "role tag",
        "holds a mark that separates roles in a prompt",
        "<|</|[|system|assistant|developer|begin ",
        r"<\|?\s?(?:im_start|im_end|endoftext|begin_of_text|eot_id|start_header_id|end_of_turn)\s?\|?>|<\|(?:system|"
        r"assistant|user)\|>|"
        r"\[/?inst\]|<</?sys>>|<start_of_turn>|</?(?:system_prompt|system_message|system-prompt|context)>|"
        r"<(?:system|assistant|instructions?)>\s?(?:you|ignore|new|the user|do not|always|never)|"
        r"\[(?:system|admin|developer|assistant)\]\s?\(#|\[(?:system|admin|developer)(?: (?:override|message|note|prompt|"
        r"instruction))\]|"
        r"(?:^|\n)\s?(?:#{1,4} ?|\*\*|\[)?(?:system|assistant|ai assistant|developer)(?: prompt| message| instructions?|"
        r" override| note)?"
        r"(?:\]|\*\*)?: ?\n? ?(?:you|ignore|from now|always|never|the user|do not|respond|reply|disregard|forget|new|sure|"
        r"ok\b)|"
        r"\bbegin (?:system|hidden|new) (?:prompt|instructions?|message)\b",
    ),
    _rule(
        "exfiltration",
        "asks a model to send something out",
        "conversation|chat |system prompt|user|messages",
        _ORDER
        + r"(?:send|post|upload|forward|transmit|exfiltrate|leak|e-?mail|append|encode|put|include|attach|submit|embed|insert|"
        rf"add|report)\s(?:{_W},?\s){{0,10}}?(?:(?:this|the|our|whole|entire|full) (?:conversation|chat(?: history| log)?)|"
        rf"system prompt|"
        r"users?'?s? (?:data|question|message|e-?mail(?: address)?|name|query|input|details|password)|everything the user|"
        rf"(?:previous|earlier|prior) messages|chat history)\b(?:\s{_W},?){{0,8}}?\s(?:(?:to|as|in|into|at|via|with|"
        rf"onto)\s)(?:{_W}\s){{0,5}}?"
        r"(?:https?://|www\.|[\w.-]{1,60}@[\w-]|(?:an? |every |each |the )?(?:url|link|image)\b|query string|parameter|"
        r"webhook)|"
        r"!\[[^\]\n]{0,80}\]\(https?://[^)\s?]{0,200}\?[^)\s]{0,200}(?:system_?prompt|conversation|chat_?history|user_?data|"
        r"secret)",
    ),
    _rule(
        "answer order",
        "says how a model's answer is to begin, or that it must not refuse",
        "with|refus|apolog|character|disclaimer|warning|an ai",
        rf"\b(?:begin|start|preface|prefix|open)\s(?:{_W}\s){{0,4}}?(?:your |all |every |each )(?:{_W}\s)?{_ANSWER}\s"
        rf"(?:{_W}\s){{0,2}}?with\b.{{0,60}}(?:\bsure\b|absolutely|of course|certainly|\bdan\b)|"
        rf"\b(?:do not|don't|never|must not|cannot|can't|without)\s(?:\w{{1,20}}\s){{0,2}}?(?:refus(?:e|ing) (?:to answer|"
        rf"any(?:thing)?\b|"
        r"requests\b)|break(?:ing)? (?:out of )?character|mention (?:that )?you(?:'re| are) an? ai|(?:say|"
        r"saying) (?:that )?you(?:'re| are) an ai)\b",
        0.85,
    ),
    _rule(
        "override",
        "tells a model to drop its instructions, in another language",
        "ignor|vergiss|vergess|missacht|uberschreib|oubli|ne tien|ne tenez|olvid|descart|caso omiso|dimentic|scord|esquec|"
        "desconsider|"
        "negeer|vergeet|zapomn|pomin|игнор|забуд|не обраща|忽|无视|忘|無視|不要遵守|무시|잊|talimat|تجاهل|भूल",
        r"\b(?:ignorier\w{0,3}|vergiss|missachte|vergessen sie|uberschreibe)\s"
        rf"(?:{_W}\s){{0,4}}?(?:anweisung|instruktion|regeln\b|vorgabe|befehl|bisherige|vorherige|richtlinie)|"
        rf"\b(?:ignore[zr]?|oublie[zr]?|ne (?:tiens|tenez) pas compte)\s(?:{_W}\s){{0,4}}?(?:instructions?|consignes?|regles?|"
        r"directives?)\s?(?:precedent|anterieur|ci-dessus|initiale|au-dessus|donnees|systeme)|\boublie tes (?:regles|"
        r"instructions|consignes)|"
        rf"\b(?:ignor[ae]|olvida|descarta|haz caso omiso de)\s(?:{_W}\s){{0,4}}?(?:(?:instrucciones|reglas|ordenes|"
        rf"indicaciones|"
        r"directrices)\s?(?:anterior|previas|de arriba|del sistema|que)|tus (?:reglas|instrucciones))|"
        rf"\b(?:ignor[ae]|dimentica|scorda)\s(?:{_W}\s){{0,4}}?(?:(?:istruzioni|regole|direttive|"
        rf"indicazioni)\s?(?:precedent|sopra|di "
        r"sistema|che)|tue (?:regole|istruzioni))|"
        rf"\b(?:ignor[ea]|esqueca|desconsidere)\s(?:{_W}\s){{0,4}}?(?:(?:instrucoes|regras|ordens|diretrizes)\s?(?:anterior|"
        rf"acima|previas|"
        r"do sistema|que)|suas (?:regras|instrucoes))|"
        rf"\b(?:negeer|vergeet)\s(?:{_W}\s){{0,4}}?(?:instructies|(?:je|jouw) regels|opdrachten|aanwijzingen)|"
        rf"\b(?:zignoruj|zapomnij|pomin)\s(?:{_W}\s){{0,4}}?(?:instrukcj|polece|zasad)|"
        rf"(?:игнорируи|проигнорируи|забудь|не обращаи внимания)\w{{0,4}}\s(?:{_W}\s){{0,4}}?(?:инструкци|правил|указани|"
        rf"команд)|"
        r"(?:忽略|无视|忘记|忘掉|不要遵守|忽視|無視)[^\n。！？]{0,12}(?:指令|指示|规则|提示|設定|设定|命令|之前|以上|上面|先前)|"
        r"(?:以前|これまで|上記|前)の[^\n。]{0,10}(?:指示|命令|ルール)[^\n。]{0,6}(?:無視|忘れ)|"
        r"(?:이전|위|지금까지)의?\s?(?:모든\s)?(?:지시|명령|규칙)\w{0,3}\s?(?:모두 )?(?:무시|잊)|"
        r"onceki (?:tum |butun )?talimatlar|تجاهل[^\n.]{0,20}التعليمات|निर्देश[^\n।]{0,15}भूल",
    ),
    # In documents only: a user may well say what the answer is to look like.
    _rule(
        "answer order",
        "tells a model what to do with its answer",
        "your ",
        rf"(?:{_START}|\bplease\s)(?!(?:you|they|we|it) (?:can|may|could|might)\s)(?:{_W}\s){{0,2}}?(?:add|include|insert|"
        rf"append|integrate|incorporate|mention|modify|change|adapt|alter|"
        r"adjust|augment|enhance|enrich|extend|expand|end|finish|conclude|begin|start|open|preface|replace|substitute|swap|"
        r"convert|"
        r"encode|translate|rewrite|write|render|provide|give|format|present|phrase|deliver|use|employ|scramble|jumble|"
        r"rearrange|"
        r"shuffle|reverse|misspell|introduce|anagram|remove|omit|drop|delete|strip|group|combine|split|merge|weave|work|"
        r"embed|put|"
        r"place|make|keep|limit|recommend|promote|advertise|suggest|emphasi[sz]e|state|say|tell|repeat|link|direct|point|"
        rf"advise|urge|encourage|invite)\s{_ON}{{0,200}}?\byour (?:next |final |whole |entire |own )?{_ANSWER}"
        r"(?!\s(?:rate|time|form|(?:might|may|could|can|will) be|to (?:the|this|our|an?) (?:customer|complaint|letter|"
        r"survey|audit|request|notice|e-?mail|question)))\b",
        0.75,
        False,
    ),
    _rule(
        "answer order",
        "tells a model what to do with its answer",
        "your ",
        rf"{_START}(?:in|within|at the (?:end|start|beginning) of|throughout|as part of) (?:all (?:of )?)?your (?:next |"
        rf"final |whole |"
        rf"entire )?{_ANSWER}\b,? (?:you (?:must|should|will|shall) |please |always |also )?(?:[a-z]{{2,20}})\b",
        0.7,
        False,
    ),
    _rule(
        "code order",
        "tells a model to put given code into what it writes",
        "code|snippet|script",
        r"\b(?:following|subsequent|below|given)\s(?:\w{1,20}\s)?(?:code|script|"
        r"snippet)\s?(?:\w{1,20}\s)?[^.!?\n]{0,80}?\b(?:your|the)\s"
        r"(?:\w{1,20}\s(?:of|in)\s)?(?:the\s|your\s)?(?:\w{1,20}\s)?(?:answer|reply|response|output|solution|elucidation|"
        r"implementation|"
        r"algorithm|codebase|code|explanation)\b[^\n]{0,60}:?\s{0,3}(?:\n\s?)?```|"
        r"\byour (?:code|codebase|implementation|algorithm|solution|answer|response)\b[^.!?\n]{0,60}\b(?:following|"
        r"subsequent|below) "
        r"(?:code|script)(?: (?:snippet|excerpt|block|section))?[^\n]{0,30}:?\s{0,3}(?:\n\s?)?```",
        0.7,
        False,
    ),
    _rule(
        "addresses a model",
        "speaks to the model that reads it",
        " ai| ai|ai |llm|language model|chatbot|gpt|assistant|copilot|from now on|you are now|user|reader|when |if ",
        r"\b(?:ai|llm|language model|chatbot|gpt|chatgpt|assistant|copilot|bot)s? (?:reading|processing|summari[sz]ing|"
        r"reviewing|"
        r"parsing|that reads?|which reads?|analy[sz]ing|ingesting) (?:this|the (?:text|document|page|e-?mail|file))\b|"
        r"\b(?:attention|note to|message to|instructions? (?:to|for)|dear|hey|hello),?:? (?:the |any |all )?(?:ai|llm|"
        r"language model|"
        r"chatbot|chatgpt|gpt|virtual assistant|ai assistant|ai model|ai system|ai agent)s?\b(?! (?:team|users?|developers?|"
        r"engineers?))|"
        r"\bif you are an? (?:ai|llm|language model|large language model|chatbot|virtual assistant|automated (?:system|"
        r"agent))\b|"
        r"\bas an? (?:ai language model|large language model|language model|ai assistant|ai),? you (?:must|should|will|"
        r"are to|have to|"
        r"need to)\b|"
        rf"{_START}from now on,? (?:you (?:are|will|must|should|shall)|always|only|act|respond|answer|reply|ignore)\b|"
        rf"{_START}you are now (?:an? |the )?(?:\w{{1,20}}\s){{0,2}}?(?:ai|assistant|bot|dan|chatbot|hacker|pirate|persona|"
        rf"in \w{{1,20}} mode)\b|"
        rf"{_START}(?:when|if|whenever) (?:you (?:are )?(?:asked|summari[sz]e|answer|respond|reply)|(?:the |a |"
        rf"any )?users? (?:asks?|"
        rf"requests?|quer(?:y|ies)))\b[^.!?\n]{{0,80}}[,:] ?(?:you must|always|never|respond|reply|answer|say|tell (?:him|"
        rf"her|them|the user)|"
        r"recommend|only|ignore|claim|pretend|refuse|output|print|direct (?:him|her|them)|instead)\b|"
        r"\b(?:tell|inform|instruct|convince|persuade|ask) the (?:user|reader) (?:that|to|"
        r"they)\b[^.!?\n]{0,80}\b(?:password|credit "
        r"card|https?://|www\.|call \+?\d|bank|e-?mail (?:to|their)|wire|transfer|pay)|"
        r"\bdo not (?:tell|mention|reveal|disclose)\s(?:[\w']{1,30}\s){0,5}?to (?:the )?users?\b",
        0.8,
        False,
    ),
)
_FOR_QUESTIONS = tuple(rule for rule in _RULES if rule.everywhere)
_TOGETHER = 64  # sentences for which it is found out at once which rules may match at all

# Text about attacks quotes them.
_ABOUT = re.compile(
    r"\b(?:injections?|attack(?:s|ers?)?|jailbreak(?:s|ing)?|adversar(?:y|ies|ial)|malicious|red[- ]team\w*|phish\w*|"
    r"social engineering|"
    r"guardrails?|llm security|exploits?|threats?|owasp|intruders?|hackers?|manipulat\w+|suspicious)\b"
)
_QUOTED = re.compile("[\"“„«`‘][^\"“”„«»`‘’\n]{1,300}[\"”“»`’]|(?<!\\w)'[^'\n]{1,300}'(?!\\w)")


def judge_question(text: str, vector: Floats | None = None, by: Classifier | None = None) -> Judgement:
    """Whether a question tries to turn the model round: injection, jailbreak, a hunt for its prompt.

    `vector` is the question's unit vector by an embedder that the classifier `fits`. `by` is another classifier than the one
    that comes with the package. Of what is longer than 24,000 characters, the classifier reads the two ends.
    """
    by = by or classifier()
    worst = 0.0
    for view in views(text):
        lower = view.text.lower()
        found = _match(lower, _FOR_QUESTIONS)
        if found and not _only_quoted(lower, found[1], lower):
            return Judgement(False, found[0].score, found[0].kind, _reason(found[0].note, view))
        scored = by.probability("attack", view.text, vector if view.how == "plain" else None)
        if scored.refused:
            return Judgement(False, scored.probability, "injection", _reason("reads like an attack on a model", view))
        worst = max(worst, scored.probability)
    return Judgement(True, worst)


def find_orders(text: str) -> list[Finding]:
    """The sentences of a document or passage that give orders to a model, as findings of the group `order`, in order.

    An order that is only quoted, beside words on attacks, has a score below `SURE`.
    """
    return list(_found(text))


def _found(text: str) -> Iterator[Finding]:
    before = ""
    spans = iter(split(text))
    while some := [(start, end, _seen(text[start:end])) for start, end in islice(spans, _TOGETHER)]:
        rules = _needed("\n".join(view.text.lower() for _, _, seen in some for view in seen))
        for start, end, seen in some:
            if finding := _judged(start, end, seen, rules, before):
                yield finding
            before = text[start:end][-1000:].lower() + "\n"


def _judged(start: int, end: int, seen: Sequence[View], rules: Sequence[_Rule], before: str) -> Finding | None:
    for view in seen:
        lower = view.text.lower()
        if found := _match(lower, rules):
            rule, match = found
            if _only_quoted(lower, match, before + lower):
                return Finding("order", rule.kind, start, end, 0.4, "is quoted in a text about attacks")
            return Finding("order", rule.kind, start, end, rule.score, _reason(rule.note, view))
    return None


def _seen(sentence: str) -> Sequence[View]:
    return views(sentence) if maybe_encoded(sentence) else (View("plain", plain(sentence)),)


def _needed(lower: str) -> list[_Rule]:
    """The rules that may match in a text: far fewer than all, so that its sentences need not be tried with the others."""
    return [rule for rule in _RULES if any(need in lower for need in rule.needs)]


def _match(lower: str, rules: Sequence[_Rule]) -> tuple[_Rule, re.Match[str]] | None:
    for rule in rules:
        if any(need in lower for need in rule.needs) and (match := rule.pattern.search(lower)):
            return rule, match
    return None


def _only_quoted(lower: str, match: re.Match[str], around: str) -> bool:
    """Whether what was found stands in quotation marks, in a text that speaks of attacks outside of them."""
    inside = any(quote.start() <= match.start() and match.end() <= quote.end() for quote in _QUOTED.finditer(lower))
    return inside and bool(_ABOUT.search(_QUOTED.sub("", around)))


def _reason(note: str, view: View) -> str:
    return note if view.how == "plain" else f"{note} (hidden as {view.how})"
