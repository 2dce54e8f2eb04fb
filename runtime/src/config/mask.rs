//! Hides what looks like a secret in a line that is about to be shown.
//!
//! Secrets belong into variables, but a configuration that is shown because something is wrong with
//! it may well have them in it, and the diagnostics of a build server are read by many.

/// Parts of the names of settings that hold secrets.
const SECRET_NAMES: [&str; 8] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "api_key", "private_key"];

/// The line with every byte of what looks like a secret replaced by `*`, so that places in it stay
/// where they are. Variables are left: they show no value.
pub(crate) fn mask(line: &str) -> String {
    let mut shown = line.as_bytes().to_vec();
    for (colon, _) in line.match_indices(':') {
        // `${NAME:?message}` has no value.
        if !line[colon..].starts_with(":?") && is_secret(last_word(&line[..colon])) {
            hide(&mut shown, line, colon + 1 + value_range(&line[colon + 1..]).start, value_end(line, colon + 1));
        }
    }
    for (scheme, _) in line.match_indices("://") {
        let authority = scheme + 3;
        let end = line[authority..]
            .find(|c: char| c.is_whitespace() || "/\"'".contains(c))
            .map_or(line.len(), |n| authority + n);
        if let Some(at) = line[authority..end].rfind('@') {
            let start = line[authority..authority + at].find(':').map_or(authority, |colon| authority + colon + 1);
            hide(&mut shown, line, start, authority + at);
        }
    }
    String::from_utf8(shown).unwrap_or_default()
}

fn last_word(text: &str) -> &str {
    let text = text.trim_end_matches(['"', '\'', ' ']);
    let start = text
        .rfind(|c: char| !c.is_alphanumeric() && c != '_' && c != '-' && c != '.')
        .map_or(0, |n| n + text[n..].chars().next().map_or(0, char::len_utf8));
    &text[start..]
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    let names_a_file = name.ends_with("file") || name.ends_with("path") || name.ends_with("dir");
    !names_a_file
        && SECRET_NAMES.iter().any(|secret| {
            // Misspelt names are what diagnostics are about.
            name.contains(secret)
                || name.contains(&secret.replace('_', ""))
                || strsim::normalized_damerau_levenshtein(&name, secret) > 0.7
        })
}

/// Where the value begins in the text after a colon.
fn value_range(after: &str) -> std::ops::RangeFrom<usize> {
    after.len() - after.trim_start().len()..
}

/// Where the value that begins after `from` ends: at its closing quote, or where a flow mapping or
/// the line does.
fn value_end(line: &str, from: usize) -> usize {
    let start = from + value_range(&line[from..]).start;
    let value = &line[start..];
    let length = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].find(quote).map(|end| end + 2),
        _ => value.find([',', '}']).filter(|end| !value[..*end].contains("${")),
    };
    length.map_or(line.len(), |length| start + length)
}

/// Hides a part of the line except quotes, blanks, and variables without a default.
fn hide(shown: &mut [u8], line: &str, start: usize, end: usize) {
    let mut position = start;
    while position < end {
        let rest = &line[position..end];
        let variable = rest.strip_prefix("${").and_then(|body| body.find('}').map(|close| &body[..close]));
        match variable {
            Some(body) if !body.contains(":-") => position += body.len() + 3,
            _ => {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                if !rest.starts_with(['"', '\'', ' ']) {
                    shown[position..position + length].fill(b'*');
                }
                position += length;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_everything_else_stays() {
        for (line, shown) in [
            ("password: hunter2", "password: *******"),
            ("pasword: hunter2", "pasword: *******"),
            (r#"  "api-key": "a,b" , x: 1"#, r#"  "api-key": "***" , x: 1"#),
            (
                "cache: {type: state.redis, password: hunter2, db: 1}",
                "cache: {type: state.redis, password: *******, db: 1}",
            ),
            ("token: ${TOKEN}", "token: ${TOKEN}"),
            ("token: ${TOKEN:-hunter2}", "token: *****************"),
            ("token: ${TOKEN:?the token}", "token: ${TOKEN:?the token}"),
            ("token: a${TOKEN}b", "token: *${TOKEN}*"),
            ("token_file: /run/token", "token_file: /run/token"),
            ("url: redis://:hunter2@host:6379/0", "url: redis://:*******@host:6379/0"),
            ("url: redis://me:hunter2@host", "url: redis://me:*******@host"),
            ("url: redis://me:p@ss@host", "url: redis://me:****@host"),
            ("url: redis://${USER}:${PASS}@host", "url: redis://${USER}:${PASS}@host"),
            ("url: redis://host:6379", "url: redis://host:6379"),
            ("listen: {tcp: 127.0.0.1:34904}", "listen: {tcp: 127.0.0.1:34904}"),
            ("secret: größe", "secret: *******"),
        ] {
            assert_eq!(mask(line), shown, "{line}");
        }
    }
}
