//! What both services are connected to and run on.

use broker::{BrokerConfig, Link};

use crate::Item;

/// Whether the broker answers, where there is one.
pub async fn broker(config: &BrokerConfig) -> Item {
    const NAME: &str = "broker";
    const ADVICE: &str =
        "check RABBITMQ_URL, and that the broker runs and can be reached from here";
    let broker = match config.broker() {
        Ok(Some(broker)) => broker,
        Ok(None) => return Item::pass(NAME, "not used: jobs travel over the internal link"),
        Err(error) => return Item::fail(NAME, error.to_string(), ADVICE),
    };
    let opened = async {
        let link = Link::open(&broker, "tendril check").await?;
        let channel = link.channel().await;
        link.close().await;
        channel.map(drop)
    };
    match opened.await {
        Ok(()) if broker.address().is_encrypted() => Item::pass(NAME, "RabbitMQ answers, over TLS"),
        Ok(()) => Item::pass(NAME, "RabbitMQ answers"),
        Err(error) => Item::fail(NAME, error.to_string(), ADVICE),
    }
}

/// What Railway must be told; nothing elsewhere. `variables` are the process's.
#[must_use]
pub fn railway(variables: &[(String, String)]) -> Option<Item> {
    const NAME: &str = "draining";
    const SECONDS: &str = "RAILWAY_DEPLOYMENT_DRAINING_SECONDS";
    let get = |wanted: &str| {
        let mut all = variables.iter();
        all.find(|(name, _)| name == wanted).map(|(_, text)| text)
    };
    get("RAILWAY_ENVIRONMENT_ID").or_else(|| get("RAILWAY_PROJECT_ID"))?;
    let seconds = get(SECONDS).and_then(|text| text.trim().parse::<u32>().ok());
    Some(match seconds {
        Some(seconds) if seconds > 0 => {
            Item::pass(NAME, format!("{seconds} s between SIGTERM and SIGKILL"))
        }
        _ => Item::warn(
            NAME,
            "Railway kills the process at once: nothing is lost, but clients are cut off",
            format!("set {SECONDS}=30"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    #[test]
    fn railway_is_asked_for_time_to_drain() {
        let on = |more: &[(&str, &str)]| {
            let mut all = vec![("RAILWAY_PROJECT_ID", "x")];
            all.extend(more);
            let owned = all.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            railway(&owned.collect::<Vec<_>>()).unwrap().outcome
        };
        assert_eq!(railway(&[]), None);
        assert_eq!(on(&[]), Outcome::Warn);
        let name = "RAILWAY_DEPLOYMENT_DRAINING_SECONDS";
        assert_eq!(on(&[(name, "0")]), Outcome::Warn);
        assert_eq!(on(&[(name, "30")]), Outcome::Pass);
    }
}
