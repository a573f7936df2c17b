//! Floating-point numbers as .NET writes them: the shortest digits that read
//! back as the same number, `E+20` and `E-05` for the exponent, no trailing
//! `.0`. Never sees a number that is not finite.

/// More digits than this before the decimal point make .NET switch to an
/// exponent: the digits that any `double` round-trips with.
const DOUBLE_DIGITS: i32 = 17;

/// The same for a `float`.
const SINGLE_DIGITS: i32 = 9;

/// Integers up to here are their own shortest digits, so the integer writer,
/// which is much faster, gives the same text.
const PLAIN_INTEGERS: f64 = 1e15;

/// Appends a finite `f64`.
pub(super) fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.trunc() == value && value.abs() < PLAIN_INTEGERS {
        return write_integer(out, value);
    }
    write_shortest(out, zmij::Buffer::new().format_finite(value), DOUBLE_DIGITS);
}

/// Appends a finite `f32`.
pub(super) fn write_f32(out: &mut Vec<u8>, value: f32) {
    write_shortest(out, zmij::Buffer::new().format_finite(value), SINGLE_DIGITS);
}

fn write_integer(out: &mut Vec<u8>, value: f64) {
    if value == 0.0 && value.is_sign_negative() {
        out.extend_from_slice(b"-0");
        return;
    }
    // Whole and below 2^53, so the conversion is exact.
    out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
}

/// Rewrites a number's shortest digits, in whatever notation they come, in the
/// notation of .NET's general format.
fn write_shortest(out: &mut Vec<u8>, shortest: &str, max_digits: i32) {
    let mut number = Decimal::read(shortest);
    if number.negative {
        out.push(b'-');
    }
    let exponent = number.point - 1;
    let scientific = number.point > max_digits || number.point < -3;
    if scientific {
        number.point = 1;
    }
    number.write_positional(out);
    if scientific {
        out.extend_from_slice(if exponent < 0 { b"E-" } else { b"E+" });
        let exponent = exponent.unsigned_abs();
        if exponent < 10 {
            out.push(b'0');
        }
        out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
    }
}

/// Digits without leading or trailing zeros, and where the decimal point
/// stands: after that many digits, before them when it is not positive.
struct Decimal {
    negative: bool,
    digits: [u8; 20],
    len: usize,
    point: i32,
}

impl Decimal {
    fn read(text: &str) -> Self {
        let mut number = Self {
            negative: false,
            digits: [0; 20],
            len: 0,
            point: 0,
        };
        let mut bytes = text.bytes();
        let mut after_point = false;
        for byte in bytes.by_ref() {
            match byte {
                b'-' => number.negative = true,
                b'.' => after_point = true,
                b'0' if number.len == 0 => number.point -= i32::from(after_point),
                b'0'..=b'9' => {
                    number.push(byte);
                    number.point += i32::from(!after_point);
                }
                // What is left of `bytes` is the exponent.
                _ => break,
            }
        }
        number.point += exponent(bytes);
        while number.len > 0 && number.digits[number.len - 1] == b'0' {
            number.len -= 1;
        }
        if number.len == 0 {
            number.point = 1;
        }
        number
    }

    fn push(&mut self, digit: u8) {
        // Further digits can only be the padding zeros of a large integer.
        if let Some(slot) = self.digits.get_mut(self.len) {
            *slot = digit;
            self.len += 1;
        }
    }

    fn write_positional(&self, out: &mut Vec<u8>) {
        let digits = &self.digits[..self.len];
        let whole = usize::try_from(self.point).unwrap_or(0);
        if whole == 0 {
            out.push(b'0');
        } else {
            out.extend_from_slice(&digits[..whole.min(digits.len())]);
            out.resize(out.len() + whole.saturating_sub(digits.len()), b'0');
        }
        let fraction = digits.get(whole..).unwrap_or_default();
        if !fraction.is_empty() {
            out.push(b'.');
            let zeros = usize::try_from(-self.point).unwrap_or(0);
            out.resize(out.len() + zeros, b'0');
            out.extend_from_slice(fraction);
        }
    }
}

fn exponent(text: impl Iterator<Item = u8>) -> i32 {
    let (mut negative, mut value) = (false, 0);
    for byte in text {
        match byte {
            b'-' => negative = true,
            b'0'..=b'9' => value = value * 10 + i32::from(byte - b'0'),
            _ => {}
        }
    }
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    fn single(value: f32) -> String {
        let mut out = Vec::new();
        write_f32(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_are_written_as_recorded() {
        let recorded = [
            (0.0, "0"),
            (1.0, "1"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1.5, "1.5"),
            (100.0, "100"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (1e20, "1E+20"),
            (1e21, "1E+21"),
            (1e22, "1E+22"),
            (0.0001, "0.0001"),
            (1e-5, "1E-05"),
            (1e-7, "1E-07"),
            (f64::MAX, "1.7976931348623157E+308"),
            (5e-324, "5E-324"),
            (123_456_789.123_456_79, "123456789.12345679"),
            (1e308, "1E+308"),
            (1.234_567_890_123_456_8e29, "1.2345678901234568E+29"),
            (0.300_000_000_000_000_04, "0.30000000000000004"),
        ];
        for (value, text) in recorded {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn the_notation_changes_beyond_seventeen_digits() {
        assert_eq!(double(12_345_678_901_234_568.0), "12345678901234568");
        assert_eq!(double(1e17), "1E+17");
        assert_eq!(
            double(-123_456_789_012_345_680.0),
            "-1.2345678901234568E+17"
        );
        assert_eq!(double(0.000_123_4), "0.0001234");
        assert_eq!(double(0.000_012_34), "1.234E-05");
    }

    #[test]
    fn floats_have_the_digits_of_a_float() {
        assert_eq!(single(0.1), "0.1");
        assert_eq!(single(16_777_217_f32), "16777216");
        assert_eq!(single(f32::MAX), "3.4028235E+38");
        assert_eq!(single(1.25), "1.25");
        assert_eq!(single(0.0), "0");
        assert_eq!(single(-0.0), "-0");
        assert_eq!(single(123_456_792.0), "123456790");
        assert_eq!(single(1e9), "1E+09");
    }
}
