//! `redis://user:password@host:port/database`, and `rediss://` for TLS.

use super::{OptionsError, RedisOptions, host_and_port};

pub(super) fn parse(text: &str) -> Result<RedisOptions, OptionsError> {
    let (scheme, rest) = text.split_once("://").ok_or(OptionsError::Address)?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "redis" => false,
        "rediss" => true,
        _ => return Err(OptionsError::Scheme),
    };
    // Queries and fragments (`?protocol=resp3`, `#insecure`) mean something to
    // one client each; none of them is needed here.
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => (Some(credentials), rest),
        None => (None, rest),
    };
    let (address, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = host_and_port(address, 6379)?;
    let mut options = RedisOptions::new(host, port);
    options.tls = tls;
    if !database.is_empty() {
        options.database = database.parse().map_err(|_| OptionsError::Value {
            option: "database",
            expected: "a number",
        })?;
    }
    if let Some(credentials) = credentials {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (user, password) = (decoded(user)?, decoded(password)?);
        options.user = (!user.is_empty()).then_some(user);
        options.password = (!password.is_empty()).then(|| password.into());
    }
    Ok(options)
}

/// `%40` for `@` and so on.
fn decoded(text: &str) -> Result<String, OptionsError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or(OptionsError::Address)?;
        rest = after;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(digits[0])
            .zip(digit(digits[1]))
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(value.ok_or(OptionsError::Address)?);
    }
    String::from_utf8(bytes).map_err(|_| OptionsError::Address)
}
