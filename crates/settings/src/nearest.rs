//! The setting that somebody meant who wrote a name that is none.

/// The one of `known` that is nearest to `wrong`, if any is near enough to be
/// a slip of the pen, or to have been put under the wrong section.
pub(crate) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let wrong_last = last(wrong);
    known
        .map(|key| {
            let whole = distance(wrong, key);
            // A name in the wrong section is nearer than its letters say.
            let moved = distance(&wrong_last, &last(key)) + 1;
            (whole.min(moved), whole, key)
        })
        .min()
        .filter(|(distance, _, _)| *distance <= (wrong_last.chars().count() / 2).clamp(1, 4))
        .map(|(_, _, key)| key)
}

/// How many letters must be put in, left out, changed or swapped with their
/// neighbour (the optimal string alignment distance). Case does not count.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.to_lowercase().chars().collect();
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let changed = above[column] + usize::from(letter != other);
            let mut least = changed.min(above[column + 1] + 1).min(line[column] + 1);
            let swapped =
                row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other;
            if swapped {
                least = least.min(before[column - 1] + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted() {
        for (from, to, expected) in [
            ("", "", 0),
            ("port", "port", 0),
            ("prot", "port", 1),
            ("PORT", "port", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn slips_are_understood_and_inventions_are_not() {
        let known = [
            "server.port",
            "server.internal_port",
            "jwt.secret",
            "internal.secret",
            "cors.allowed_origins",
        ];
        for (wrong, meant) in [
            ("server.prot", Some("server.port")),
            ("sever.port", Some("server.port")),
            ("port", Some("server.port")),
            ("prot", Some("server.port")),
            ("jwt.secert", Some("jwt.secret")),
            ("cors.origins", None),
            ("signalr.allowed_origins", Some("cors.allowed_origins")),
            ("cors.allowedOrigins", Some("cors.allowed_origins")),
            ("nonsense", None),
        ] {
            assert_eq!(nearest(wrong, known.into_iter()), meant, "{wrong}");
        }
    }
}
