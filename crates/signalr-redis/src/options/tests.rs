//! Both notations, and what is no notation.

use super::*;

fn parsed(text: &str) -> RedisOptions {
    text.parse().unwrap()
}

fn password(options: &RedisOptions) -> Option<&str> {
    options.password.as_ref().map(|each| each.expose_secret())
}

#[test]
fn a_url_says_everything() {
    let options = parsed("rediss://hub:p%40ss%3Aw@redis.example.com:6380/2?protocol=resp3");
    assert_eq!(options.address(), "redis.example.com:6380");
    assert_eq!((options.tls, options.database), (true, 2));
    assert_eq!(options.user.as_deref(), Some("hub"));
    assert_eq!(password(&options), Some("p@ss:w"));
}

#[test]
fn most_of_a_url_may_be_missing() {
    let options = parsed("redis://localhost");
    assert_eq!(options.address(), "localhost:6379");
    assert_eq!((options.tls, options.database), (false, 0));
    assert!(options.user.is_none() && options.password.is_none());
    assert_eq!(password(&parsed("redis://:secret@h")), Some("secret"));
    // Railway's and Heroku's.
    let options = parsed("redis://default:a@b@redis.railway.internal:6379");
    assert_eq!(password(&options), Some("a@b"));
    assert_eq!(parsed("redis://[::1]:7000/").address(), "[::1]:7000");
}

#[test]
fn a_string_of_stackexchange_says_the_same() {
    let options = parsed(
        "cache.example.com:6380, password=a=b+c/d==, ssl=True, user=hub, defaultDatabase=3, \
         abortConnect=False, channelPrefix=ZiraAI:SignalR:, connectTimeout=7000, syncTimeout=900",
    );
    assert_eq!(options.address(), "cache.example.com:6380");
    assert_eq!(password(&options), Some("a=b+c/d=="));
    assert_eq!((options.tls, options.database), (true, 3));
    assert_eq!(options.user.as_deref(), Some("hub"));
    assert_eq!(options.channel_prefix, "ZiraAI:SignalR:");
    assert_eq!(options.connect_timeout, Duration::from_secs(7));
    assert_eq!(options.command_timeout, Duration::from_millis(900));
    assert_eq!(parsed("localhost").address(), "localhost:6379");
    assert_eq!(parsed("10.0.0.7:7001,ssl=false").address(), "10.0.0.7:7001");
}

#[test]
fn what_is_wrong_is_named_and_never_shown() {
    let expected = [
        ("", OptionsError::Address),
        ("password=hidden", OptionsError::Address),
        ("redis://", OptionsError::Address),
        ("redis://:hidden@", OptionsError::Address),
        ("redis://u:hidden@host:0", OptionsError::Address),
        ("redis://u:hidden@host:99999", OptionsError::Address),
        ("redis://u:hid%zzden@host", OptionsError::Address),
        ("http://u:hidden@host", OptionsError::Scheme),
        ("a:1,b:2,password=hidden", OptionsError::SeveralServers),
    ];
    for (text, error) in expected {
        assert_eq!(text.parse::<RedisOptions>().unwrap_err(), error, "{text}");
    }
    for text in [
        "h,pasword=hidden",
        "h,password=ab,hidden=gh",
        "h,password=hidden,ssl=maybe",
        "h,password=hidden,defaultDatabase=x",
        "h,password=hidden,connectTimeout=-1",
        "h,password=hidden,sslHost=other",
        "redis://u:hidden@host/x",
    ] {
        let error = text.parse::<RedisOptions>().unwrap_err().to_string();
        assert!(!error.contains("hidden"), "{error}");
    }
    let error = "h,ssl=true,frobnicate=1"
        .parse::<RedisOptions>()
        .unwrap_err();
    assert_eq!(error, OptionsError::UnknownOption(2));
}

#[test]
fn a_password_is_in_no_debug_text() {
    for text in ["redis://u:hidden@host", "host,password=hidden"] {
        assert!(!format!("{:?}", parsed(text)).contains("hidden"));
    }
}

#[test]
fn a_certificate_that_is_none_is_refused() {
    let mut options = parsed("rediss://host");
    options.ca_certificate = Some("no PEM".to_owned());
    assert_eq!(options.client().unwrap_err(), OptionsError::Certificate);
    options.ca_certificate = None;
    assert!(options.client().is_ok());
}
