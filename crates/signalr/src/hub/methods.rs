//! The methods of a hub, found by name without regard to letter case.

use std::collections::HashMap;

use super::Method;

/// Names up to this length are looked up without an allocation.
const SHORT: usize = 64;

/// By lower-case name.
#[derive(Debug, Default)]
pub(crate) struct Methods(HashMap<Box<str>, Method>);

impl Methods {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(HashMap::with_capacity(capacity))
    }

    /// Adds a method; gives the name back when there is one of that name.
    pub(crate) fn insert(&mut self, method: Method) -> Result<(), String> {
        let name = method.name.to_string();
        match self.0.insert(name.to_lowercase().into(), method) {
            None => Ok(()),
            Some(_) => Err(name),
        }
    }

    /// The method that a client calls by `target`.
    pub(crate) fn get(&self, target: &str) -> Option<&Method> {
        let mut short = [0; SHORT];
        match short.get_mut(..target.len()) {
            Some(lower) if target.is_ascii() => {
                lower.copy_from_slice(target.as_bytes());
                lower.make_ascii_lowercase();
                self.0.get(std::str::from_utf8(lower).ok()?)
            }
            _ => self.0.get(&*target.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn letter_case_does_not_tell_methods_apart() {
        let long = "LongName".repeat(20);
        let mut methods = Methods::default();
        for name in ["Send", "Süden", &long] {
            let method = Method::plain(name, Arc::new(()), async || ());
            methods.insert(method).unwrap();
        }
        for target in ["send", "SEND", "Süden", "SÜDEN", &long.to_uppercase()] {
            assert!(methods.get(target).is_some(), "{target}");
        }
        for target in ["", "sen", "sends", "Suden", &long[1..]] {
            assert!(methods.get(target).is_none(), "{target}");
        }
        let again = Method::plain("sEND", Arc::new(()), async || ());
        assert_eq!(methods.insert(again), Err("sEND".to_owned()));
    }
}
