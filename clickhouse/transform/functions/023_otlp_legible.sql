-- A name or id without characters that nothing shows: controls, marks of direction, letters without width, what is no
-- character. They come by mistake or to disturb a terminal, and a renderer of charts dies of one. Each becomes U+FFFD.
-- Nearly all values are plain ASCII, which translate() finds out in a third of the time of a pattern.
CREATE OR REPLACE FUNCTION otlp_legible AS (text) -> if(
    length(text) = lengthUTF8(text)
        AND translate(
            text,
            '\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f',
            '?????????????????????????????????') = text,
    text,
    replaceRegexpAll(
        text,
        '[\\x00-\\x1f\\x7f-\\x{9f}\\x{ad}\\x{61c}\\x{200b}-\\x{200f}\\x{2028}-\\x{202e}\\x{2060}-\\x{206f}\\x{feff}\\x{fdd0}-\\x{fdef}\\x{fff0}-\\x{fff8}\\x{fffe}\\x{ffff}\\x{e0000}-\\x{e0fff}]',
        '\xef\xbf\xbd'))
