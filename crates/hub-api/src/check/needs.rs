//! What the hub needs to be there: database and its schema, images, the broker,
//! Redis, the issuer's keys.

use std::time::Duration;

use checklist::Item;
use signalr_redis::RedisLink;

use super::bounded;
use crate::{
    auth::Jwks,
    config::Config,
    lifecycle::describe,
    store::{Schema, StoreOptions, schema},
};

/// Redis answers at once, or is ill.
const REDIS_PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn items(config: &Config) -> Vec<Item> {
    let database = "check DATABASE_URL, and that the database runs and can be reached from here";
    let images = "make DATA_DIR writable, or check S3__Bucket and its keys";
    let redis = "check REDIS_URL, and that Redis runs and can be reached from here";
    let broker = "check RABBITMQ_URL";
    let keys = "check Jwt__JwksUrl, and that it can be reached from here";
    let (database, images, broker, redis, keys) = tokio::join!(
        bounded("database", database, self::database(config, database)),
        bounded("images", images, self::images(config, images)),
        bounded("broker", broker, checklist::broker(&config.rabbitmq)),
        bounded("redis", redis, self::redis(config, redis)),
        bounded("published keys", keys, self::published_keys(config, keys)),
    );
    vec![database, images, broker, redis, keys]
}

async fn database(config: &Config, advice: &str) -> Item {
    const NAME: &str = "database";
    let location = match config.database_location() {
        Ok(location) => location,
        Err(error) => return Item::fail(NAME, error.to_string(), advice),
    };
    let options = StoreOptions::on(location);
    let shown = options.location.to_string();
    match schema(options).await {
        Ok(Schema::Current) => Item::pass(NAME, format!("{shown}: the schema is up to date")),
        Ok(Schema::Missing) => Item::pass(
            NAME,
            format!("{shown}: empty; the hub makes the schema when it starts"),
        ),
        Ok(Schema::Behind { steps }) => Item::warn(
            NAME,
            format!("{shown}: {steps} migration(s) behind"),
            "the hub carries them out when it starts; make a backup before",
        ),
        Ok(Schema::Ahead) => Item::warn(
            NAME,
            format!("{shown}: the schema is newer than this hub"),
            "an older hub runs on it; deploy the newer one when it is meant",
        ),
        Ok(Schema::Broken) => Item::fail(
            NAME,
            format!("{shown}: a migration was not finished"),
            "restore the backup, or finish the migration by hand",
        ),
        Err(error) => Item::fail(NAME, format!("{shown}: {}", describe(&error)), advice),
    }
}

async fn images(config: &Config, advice: &str) -> Item {
    const NAME: &str = "images";
    let probed = async {
        let store = crate::run::open_images(config).await;
        let store = store.map_err(|error| describe(&error))?;
        store.probe().await.map_err(|error| describe(&error))
    };
    match (probed.await, &config.s3.bucket) {
        (Ok(()), Some(bucket)) => Item::pass(NAME, format!("the bucket {bucket} can be written")),
        (Ok(()), None) => {
            let folder = config.images_dir().display().to_string();
            Item::pass(NAME, format!("the folder {folder} can be written"))
        }
        (Err(error), _) => Item::fail(NAME, error, advice),
    }
}

async fn redis(config: &Config, advice: &str) -> Item {
    const NAME: &str = "redis";
    let options = match config.redis.options() {
        Ok(Some(options)) => options,
        Ok(None) => return Item::pass(NAME, "not used"),
        Err(error) => return Item::fail(NAME, error.to_string(), advice),
    };
    let address = options.address();
    let link = match RedisLink::open(options) {
        Ok(link) => link,
        Err(error) => return Item::fail(NAME, error.to_string(), advice),
    };
    let up = link.wait_until_up(REDIS_PATIENCE).await;
    link.close();
    if up {
        Item::pass(NAME, format!("{address} answers"))
    } else {
        Item::fail(NAME, format!("{address} does not answer"), advice)
    }
}

async fn published_keys(config: &Config, advice: &str) -> Item {
    const NAME: &str = "published keys";
    let jwks = match Jwks::from_config(&config.jwt) {
        Ok(Some(jwks)) => jwks,
        Ok(None) => return Item::pass(NAME, "not used"),
        Err(error) => return Item::fail(NAME, describe(&error), advice),
    };
    match jwks.ask().await {
        Ok(()) => Item::pass(NAME, format!("{} usable key(s)", jwks.report().keys)),
        Err(error) => Item::fail(NAME, describe(&error), advice),
    }
}
