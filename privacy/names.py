"""Whether a name says that its value is a secret: `DB_PASSWORD`, `x-api-key`, `clientSecret`, `MYSQL_PWD`.

A name is read in segments, parted by `_`, `-`, `.`, `/`, blanks and camel case, since `author` is no `auth` and
`max_tokens` no token. What a name's last segments say decides: `token_count` is a number, `secret_name` a name.

One place for text and for keys of structures alike: `strength` judges the name alone, and
    `privacy.values.is_secret` whether a value under it is one. Time is linear in the length of a name, and
    only the last
MAX_NAME characters are looked at.
"""

import re
from enum import IntEnum
from functools import lru_cache
from typing import Final

MAX_NAME: Final = 120


class Strength(IntEnum):
    """What a name says of its value.

    `weak`: a secret if the value is long and mixed (`key`, `auth`, `sig`, `salt`). `vague`: a word of
    programming, a
    secret if the value does not read as a word (`token`, `pass`). `literal`: the same, and a secret in quotes, too
    (`secret`). `strong`: a secret unless it is a placeholder, an expression or a type (`password`, `api_key`).
    """

    none = 0
    weak = 1
    vague = 2
    literal = 3
    strong = 4


@lru_cache(8192)
def strength(name: str) -> Strength:
    """Return what a name says of its value, by its segments."""
    parts = segments(name[-MAX_NAME:])
    while parts and parts[-1] in _IGNORED:
        parts.pop()
    return _judge(parts) if parts else Strength.none


def segments(name: str) -> list[str]:
    """Split a name into its parts, in lower case and without the digits at their ends; `DB_PassWord2` has three."""
    return [part for found in _SEGMENT.findall(name) if (part := found.lower().rstrip("0123456789"))]


_SEGMENT: Final = re.compile(
    r"[A-Z]+(?![a-z0-9])[0-9]*|[A-Z]?[a-z\x80-\U0010FFFF][a-z0-9\x80-\U0010FFFF]*"
    r"|[A-Z][A-Z0-9]*(?=[A-Z][a-z])|[A-Z0-9]+"
)


def _judge(parts: list[str]) -> Strength:  # noqa: PLR0911  one rule a line
    last = parts[-1]
    before = parts[-2] if len(parts) > 1 else ""
    both = before + last
    if both in _STRONG_PAIRS or last in _CARRIERS:
        return Strength.strong
    if both == "secretid":
        return (
            Strength.vague
        )  # HashiCorp's Vault has one that is a secret, and other things have a name there
    if last in _STRONG or last.endswith(_STRONG_ENDINGS):
        return Strength.none if before in _NEVER and last not in _WORDS_FOR_PASSWORD else Strength.strong
    if last in _VAGUE or last.endswith(_VAGUE_ENDINGS):
        return _vague(last, before)
    if last.endswith("pass") and last not in _NO_PASS_WORDS:
        return Strength.vague
    if last in ("key", "keys"):
        return _key(before)
    if last in _WEAK:
        return Strength.none if before in _NEVER else Strength.weak
    if last in _VALUES and len(parts) > 1:
        # `password_value`, `secret_string`, `token_1`; but no `key_value`.
        inner = _judge(parts[:-1])
        return inner if inner >= Strength.vague else Strength.none
    if last in _ADDRESSES and before in _CARRIERS:
        return Strength.strong
    return Strength.none


def _vague(last: str, before: str) -> Strength:
    if last.endswith(("token", "tokens")) and (before in _NO_TOKEN or last in _NO_TOKENS):
        return Strength.none
    if last.endswith("pass") and before in _NO_PASS:
        return Strength.none
    if before and before not in _NEVER and not last.endswith("tokens"):
        return Strength.strong
    return Strength.literal if last == "secret" else Strength.vague


def _key(before: str) -> Strength:
    if before in _SECRET_KEYS or before.endswith(("secret", "private", "password", "access")):
        return Strength.strong
    return Strength.none if before in _NO_KEY or before in _NEVER else Strength.weak


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


_WORDS_FOR_PASSWORD: Final = words(
    """password passwords passe passwd passphrase passcode pwd passwort kennwort contraseña contrasena senha
    motdepasse пароль 密码 密碼 口令 パスワード 비밀번호 암호 hasło haslo
    wachtwoord lösenord losenord adgangskode parola salasana
    şifre sifre jelszó jelszo heslo masterpass passphrases"""
)
_STRONG: Final = _WORDS_FOR_PASSWORD | words(
    """credential credentials cred creds apikey apikeys authkey authtoken accesstoken accesskey secretkey privatekey
    privkey signingkey encryptionkey masterkey licensekey servicekey requirepass userpass rootpass dbpass
    mypass pgpass
    mnemonic otp totp passkey keypass storepass htpasswd userpw rootpw dbpw psk clientsecret sas"""
)
_STRONG_ENDINGS: Final = (
    *(
        "password",
        "passwd",
        "passphrase",
        "passwort",
        "apikey",
        "secretkey",
        "accesskey",
        "privatekey",
        "authkey",
    ),
    *("passcode", "dbpwd", "pwd"),
)
_STRONG_PAIRS: Final = words(
    """seedphrase recoveryphrase recoverycode recoverycodes backupcode backupcodes backupphrase sharedaccess
    authcode authorizationcode verificationcode sessioncookie authcookie basicauth userpw rootpw dbpw adminpw
    securitycode accesscode pincode seedwords walletseed sessionsecret bearer"""
)
_CARRIERS: Final = words("webhook webhooks dsn")
"""Their values are addresses that open what they name."""
_ADDRESSES: Final = words("url uri endpoint address link")
_VAGUE: Final = words("token secret secrets pass pat pw jwt bearer cvv cvc")
_VAGUE_ENDINGS: Final = ("token", "secret")
_WEAK: Final = words(
    "auth authorization sig signature salt hmac seed nonce pepper cookie sid apisid ticket signed license licence"
)
_VALUES: Final = words(
    """value val string str text plain plaintext raw data base decoded encoded hash digest b enc encrypted
    confirmation confirm again repeat new old current default literal content"""
)
_IGNORED: Final = words("is the") | frozenset({""})

_NEVER: Final = words(
    """no without missing invalid unexpected unknown expired has is needs requires max min num total count"""
)
_NO_TOKENS: Final = words("detoken untoken subtoken")
_NO_TOKEN: Final = _NEVER | words(
    """page next previous prev continuation continue sync cursor resume cancel cancellation pad eos bos unk
    mask cls sep
    stop end start special first last current punct bad added image audio vision prompt completion output
    input cached
    reasoning thinking per each every left right open close begin eof eol keyword word sub string number literal
    identifier operator whitespace comment lookahead peek ast lex lexer parse parser syntax design color theme
    css abort nft erc erc20 pagination decoder encoder vocab ignore forced suppress budget"""
)
_NO_PASS_WORDS: Final = words(
    "bypass compass trespass overpass underpass encompass surpass onepass multipass"
)
_NO_PASS: Final = _NEVER | words(
    """first second third last next render compute shader forward backward test tests multi single by over under com
    low high band all optimization compiler opt loop ghost fast pre post boarding free must"""
)
_NO_KEY: Final = words(
    """public pub primary foreign cache partition sort sorting idempotency object row hash range composite
    unique natural
    surrogate map dict dictionary hot shortcut arrow lookup group grouping order search json registry resource
    routing
    event message bucket i18n locale translation label field column index react list item node trace metric config
    feature flag setting state query redis kms fingerprint artifact restore dedupe dedup deduplication compound join
    merge shard press any ctrl alt escape tab enter return up down num any the a each this parent child
    metadata attribute attr tag param parameter prop property s3 host known site sitekey recaptcha scan cursor
    rate limit throttle lock redlock topic stream file path blob image media music major minor piano turn low
    on off other same first last next unknown missing duplicate invalid which what no"""
)
_SECRET_KEYS: Final = words(
    """api access secret private signing sign encryption encrypt decryption decrypt account shared master
    license licence auth ssh deploy service admin hmac aes rsa crypto cipher session cookie consumer subscription
    client integration ingest ingestion write webhook jwt fernet recovery unseal django flask app application
    instrumentation merchant personal security restricted preshared bot root wallet recovery encryption kek dek
    openai anthropic stripe sendgrid mailgun twilio datadog newrelic honeycomb algolia groq gemini mistral cohere
    azure github gitlab grafana sentry linear notion figma supabase pinecone replicate perplexity deepseek xai
    together fireworks elevenlabs serpapi tavily brave mapbox airtable intercom segment amplitude mixpanel
    rollbar bugsnag pagerduty opsgenie okta auth0 clerk resend postmark brevo mailchimp hubspot asana jira"""
)
