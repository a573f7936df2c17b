//! An object with a member of each kind.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{
    Bytes, Char, Color, DateTime, DateTimeOffset, Decimal, Dictionary, Double, Float, Guid,
    TimeSpan,
};

/// Written in camel case; read in any letter case, unknown members ignored,
/// the last of doubled ones kept, as .NET's serializer does for classes.
#[derive(Debug, Clone, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Thing {
    text: Option<String>,
    int: i32,
    long: i64,
    double: Double,
    float: Float,
    decimal: Decimal,
    bool: bool,
    nothing: Option<i32>,
    date: DateTime,
    date_offset: DateTimeOffset,
    span: TimeSpan,
    guid: Guid,
    color: Color,
    bytes: Option<Bytes>,
    list: Option<Vec<i32>>,
    map: Option<Dictionary<i32>>,
    char: Char,
    url_name: Option<String>,
}

impl Thing {
    /// What `MakeObject` returns.
    pub(crate) fn example() -> Option<Self> {
        let entry = |key: &str, value| (key.to_owned(), value);
        Some(Self {
            text: Some("café".to_owned()),
            int: -7,
            long: i64::MAX,
            double: Double(0.1),
            float: Float(0.1),
            decimal: Decimal::parse("1.50")?,
            bool: true,
            nothing: None,
            date: DateTime::parse("2024-02-29T13:14:15.678Z")?,
            date_offset: DateTimeOffset::parse("2024-02-29T13:14:15+02:00")?,
            span: TimeSpan::parse("1.02:03:04.005")?,
            guid: Guid::parse("01234567-89ab-cdef-0123-456789abcdef")?,
            color: Color(1),
            bytes: Some(Bytes(vec![0, 1, 2, 250, 251, 252])),
            list: Some(vec![1, 2, 3]),
            map: Some(Dictionary(vec![entry("Key One", 1), entry("key2", 2)])),
            char: Char('x'),
            url_name: Some("u".to_owned()),
        })
    }
}

impl<'de> Deserialize<'de> for Thing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Thing;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Thing, A::Error> {
        let mut thing = Thing::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.to_ascii_lowercase().as_str() {
                "text" => thing.text = map.next_value()?,
                "int" => thing.int = map.next_value()?,
                "long" => thing.long = map.next_value()?,
                "double" => thing.double = map.next_value()?,
                "float" => thing.float = map.next_value()?,
                "decimal" => thing.decimal = map.next_value()?,
                "bool" => thing.bool = map.next_value()?,
                "nothing" => thing.nothing = map.next_value()?,
                "date" => thing.date = map.next_value()?,
                "dateoffset" => thing.date_offset = map.next_value()?,
                "span" => thing.span = map.next_value()?,
                "guid" => thing.guid = map.next_value()?,
                "color" => thing.color = map.next_value()?,
                "bytes" => thing.bytes = map.next_value()?,
                "list" => thing.list = map.next_value()?,
                "map" => thing.map = map.next_value()?,
                "char" => thing.char = map.next_value()?,
                "urlname" => thing.url_name = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(thing)
    }
}
