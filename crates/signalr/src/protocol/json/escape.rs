//! JSON strings as System.Text.Json's relaxed encoder writes them: markup and
//! accents stay, controls, spaces other than U+0020, unassigned and private
//! characters and everything beyond the Basic Multilingual Plane become
//! `\uXXXX` in upper-case hex.

use super::escape_ranges::ESCAPED;
use super::run::ascii_run;

/// Appends a string with its quotation marks.
pub(in crate::protocol) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let (mut written, mut at) = (0, 0);
    loop {
        at += ascii_run(&bytes[at..]);
        let Some(character) = text[at..].chars().next() else {
            break;
        };
        let start = at;
        at += character.len_utf8();
        if !is_escaped(character) {
            continue;
        }
        out.extend_from_slice(&bytes[written..start]);
        match bytes[start] {
            byte @ ..0x80 => write_ascii_escape(out, byte),
            _ => character
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| write_unit(out, *unit)),
        }
        written = at;
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

fn write_ascii_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => return write_unit(out, u16::from(byte)),
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn write_unit(out: &mut Vec<u8>, unit: u16) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |shift: u16| HEX[usize::from((unit >> shift) & 0xf)];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

fn is_escaped(character: char) -> bool {
    match u16::try_from(u32::from(character)) {
        // Only what needs an escape ends a run of ASCII.
        Ok(..0x80) => true,
        // Latin with its extensions, Greek's first rows and Cyrillic; Han up to
        // Yi; Hangul: without gaps, so most text never reaches the search.
        Ok(0xa1..=0x377 | 0x3a3..=0x52f | 0x3220..=0xa48c | 0xac00..=0xd7a3) => false,
        Ok(unit) => ESCAPED
            .binary_search_by(|&(first, last)| {
                if last < unit {
                    std::cmp::Ordering::Less
                } else if first > unit {
                    std::cmp::Ordering::Greater
                } else {
                    std::cmp::Ordering::Equal
                }
            })
            .is_ok(),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_recorded() {
        let recorded = [
            ("plain", r#""plain""#),
            (
                "quote \" backslash \\ slash /",
                r#""quote \" backslash \\ slash /""#,
            ),
            ("< > & + ' ` = ; %", r#""< > & + ' ` = ; %""#),
            (
                "caf\u{e9} \u{fc} \u{4e2d}\u{6587} \u{430}",
                "\"caf\u{e9} \u{fc} \u{4e2d}\u{6587} \u{430}\"",
            ),
            ("\u{1f600}", r#""\uD83D\uDE00""#),
            ("\u{2028}\u{2029}", r#""\u2028\u2029""#),
            (
                "\0\u{1}\u{7}\u{8}\t\n\u{b}\u{c}\r\u{1e}\u{1f}\u{7f}\u{80}\u{9f}\u{a0}",
                r#""\u0000\u0001\u0007\b\t\n\u000B\f\r\u001E\u001F\u007F\u0080\u009F\u00A0""#,
            ),
            (
                "\u{ad}\u{200b}\u{200e}\u{202e}\u{feff}\u{fffe}\u{ffff}\u{fffd}",
                "\"\u{ad}\u{200b}\u{200e}\u{202e}\\uFEFF\\uFFFE\\uFFFF\u{fffd}\"",
            ),
            ("\u{e000}\u{f8ff}", r#""\uE000\uF8FF""#),
            ("\u{378} unassigned", r#""\u0378 unassigned""#),
            ("e\u{301}", "\"e\u{301}\""),
            ("", r#""""#),
        ];
        for (text, json) in recorded {
            assert_eq!(written(text), json);
        }
    }

    #[test]
    fn the_gapless_blocks_have_no_escaped_character() {
        for (first, last) in ESCAPED {
            for (from, to) in [
                (0xa1, 0x377),
                (0x3a3, 0x52f),
                (0x3220, 0xa48c),
                (0xac00, 0xd7a3),
            ] {
                assert!(
                    last < from || first > to,
                    "U+{first:04X} lies in a gapless block"
                );
            }
        }
        assert!(
            ESCAPED.windows(2).all(|pair| pair[0].1 < pair[1].0),
            "the ranges are sorted"
        );
    }

    #[test]
    fn spaces_of_other_widths_are_escaped() {
        assert_eq!(written("\u{3000}\u{2003}"), r#""\u3000\u2003""#);
    }
}
