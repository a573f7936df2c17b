//! StackExchange.Redis' configuration string:
//! `host:port,password=..,ssl=true,channelPrefix=..`.
//!
//! Its rules: options are separated by commas and cannot hold one, names are
//! case-insensitive, a value may hold `=`, an unknown name is an error.

use std::time::Duration;

use super::{OptionsError, RedisOptions, host_and_port};

/// Options of the .NET client that have no meaning here and do no harm.
const WITHOUT_MEANING: &[&str] = &[
    "abortconnect",
    "allowadmin",
    "asynctimeout",
    "checkcertificaterevocation",
    "configchannel",
    "configcheckseconds",
    "connectretry",
    "heartbeatinterval",
    "highintegrity",
    "keepalive",
    "protocol",
    "resolvedns",
    "responsetimeout",
    "setclientlibrary",
    "sslprotocols",
    "tiebreaker",
    "version",
    "writebuffer",
];

pub(super) fn parse(text: &str) -> Result<RedisOptions, OptionsError> {
    let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
    let (options, servers): (Vec<&str>, Vec<&str>) = parts.partition(|part| part.contains('='));
    let server = match servers.as_slice() {
        [] => return Err(OptionsError::Address),
        [server] => server,
        _ => return Err(OptionsError::SeveralServers),
    };
    let (host, port) = host_and_port(server, 6379)?;
    let mut parsed = RedisOptions::new(host, port);
    for (place, option) in (1..).zip(options) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        if !set(&mut parsed, name.trim(), value.trim())? {
            return Err(OptionsError::UnknownOption(place));
        }
    }
    Ok(parsed)
}

/// False where there is no such option.
fn set(options: &mut RedisOptions, name: &str, value: &str) -> Result<bool, OptionsError> {
    match name.to_ascii_lowercase().as_str() {
        "password" => options.password = (!value.is_empty()).then(|| value.into()),
        "user" => options.user = (!value.is_empty()).then(|| value.to_owned()),
        "ssl" => options.tls = yes_or_no("ssl", value)?,
        "channelprefix" => options.channel_prefix = value.to_owned(),
        "name" => options.client_name = Some(value.to_owned()),
        "defaultdatabase" => {
            options.database = value.parse().map_err(|_| OptionsError::Value {
                option: "defaultDatabase",
                expected: "a number",
            })?;
        }
        "connecttimeout" => options.connect_timeout = milliseconds("connectTimeout", value)?,
        "synctimeout" => options.command_timeout = milliseconds("syncTimeout", value)?,
        // The certificate is checked for the host that is connected to.
        "sslhost" if value.eq_ignore_ascii_case(&options.host) => {}
        "sslhost" => {
            return Err(OptionsError::Value {
                option: "sslHost",
                expected: "the host that is connected to",
            });
        }
        known if WITHOUT_MEANING.contains(&known) => {}
        _ => return Ok(false),
    }
    Ok(true)
}

fn yes_or_no(option: &'static str, value: &str) -> Result<bool, OptionsError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(OptionsError::Value {
            option,
            expected: "true or false",
        }),
    }
}

fn milliseconds(option: &'static str, value: &str) -> Result<Duration, OptionsError> {
    match value.parse() {
        Ok(value @ 1..=600_000) => Ok(Duration::from_millis(value)),
        _ => Err(OptionsError::Value {
            option,
            expected: "milliseconds from 1 to 600000",
        }),
    }
}
