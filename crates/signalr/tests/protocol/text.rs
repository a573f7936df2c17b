//! Numbers and strings in JSON: whatever is written reads back as itself.

use proptest::prelude::*;
use signalr::protocol::HubProtocol;

/// The text of a value as the argument of an invocation.
fn written<T: serde::Serialize>(value: &T) -> String {
    let mut out = Vec::new();
    HubProtocol::Json
        .write_result(&mut out, "1", value)
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    let value = text
        .strip_prefix("{\"type\":3,\"invocationId\":\"1\",\"result\":")
        .unwrap();
    value.strip_suffix("}\u{1e}").unwrap().to_owned()
}

/// What .NET's general format allows: `-?digits(.digits)?(E[+-]dd+)?`.
fn is_dotnet_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "+00"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "1"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let sign = exponent.starts_with(['+', '-']);
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && digits(fraction)
        && !fraction.ends_with('0')
        && sign
        && exponent.len() > 2
        && digits(&exponent[1..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn doubles_read_back_as_themselves(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let text = written(&value);
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits, "{}", text);
        prop_assert!(is_dotnet_number(&text), "{}", text);
    }

    #[test]
    fn doubles_of_ordinary_size_read_back_as_themselves(value in -1e18..1e18_f64, places in 0..20_i32) {
        let value = (value * 10_f64.powi(-places)).round() / 10_f64.powi(places % 7);
        let text = written(&value);
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{}", text);
        prop_assert!(is_dotnet_number(&text), "{}", text);
    }

    #[test]
    fn floats_read_back_as_themselves(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        prop_assume!(value.is_finite());
        let text = written(&value);
        prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), bits, "{}", text);
        prop_assert!(is_dotnet_number(&text), "{}", text);
    }

    #[test]
    fn strings_read_back_as_themselves(value in any::<String>()) {
        let text = written(&value);
        prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
    }
}
