//! Comparing what a page shows with what was printed: to the letter, but for what differs between
//! two runs.

/// Why `shown` is not what was `printed`; nothing if it is. In `shown` a `…` stands for any text
/// within a line, and alone for any number of lines.
pub(crate) fn difference(shown: &[String], printed: &str) -> Option<String> {
    let found: Vec<_> = printed.trim_end().lines().map(|line| settled(line.trim_end())).collect();
    let wanted: Vec<_> = shown.iter().map(|line| settled(line.trim_end())).collect();
    let wanted: &[_] = match wanted.iter().rposition(|line| !line.is_empty()) {
        Some(last) => &wanted[..=last],
        None => &[],
    };
    let same = lines(wanted, &found);
    (!same).then(|| format!("shown:\n{}\nprinted:\n{}", shown.join("\n"), printed.trim_end()))
}

fn lines(wanted: &[String], found: &[String]) -> bool {
    match wanted.split_first() {
        None => found.is_empty(),
        Some((any, rest)) if any == "…" => (0..=found.len()).any(|skipped| lines(rest, &found[skipped..])),
        Some((first, rest)) => {
            found.split_first().is_some_and(|(line, others)| like(first, line) && lines(rest, others))
        }
    }
}

fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('…') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| like(after, &rest[at..]))
        }),
    }
}

/// A line without what differs between two runs: the generation of an etag, and how long something took.
fn settled(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    let word = |index: usize, word: &str| {
        let timed = words.get(index + 1).is_some_and(|unit| ["ms", "s"].contains(unit));
        if timed && word.bytes().all(|byte| byte.is_ascii_digit()) { "N".to_owned() } else { etags(word) }
    };
    words.iter().enumerate().map(|(index, text)| word(index, text)).collect::<Vec<_>>().join(" ")
}

/// `7-x3k9q0` becomes `7-ETAG`.
fn etags(word: &str) -> String {
    let part = |part: &str| match part.split_once('-') {
        Some((version, generation)) if is_version(version) && is_generation(generation) => format!("{version}-ETAG"),
        _ => part.to_owned(),
    };
    word.split('"').map(part).collect::<Vec<_>>().join("\"")
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_generation(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

#[test]
fn only_what_differs_between_runs_may_differ() {
    let differ = |shown: &str, printed: &str| {
        difference(&shown.lines().map(str::to_owned).collect::<Vec<_>>(), printed).is_some()
    };
    for (shown, printed) in [
        ("", ""),
        ("a", "a\n"),
        ("set k, etag 1-34r5ai", "set k, etag 1-zzzzz9"),
        ("{\"etag\":\"1-34r5ai\",\"a\":1}", "{\"etag\":\"1-zzzzz9\",\"a\":1}"),
        ("ready in 16 ms", "ready in 4711 ms"),
        ("config …/f.yaml", "config /a/b/f.yaml"),
        ("a\n…\nd", "a\nb\nc\nd"),
        ("a\n…", "a"),
    ] {
        assert!(!differ(shown, printed), "{shown:?} {printed:?}");
    }
    for (shown, printed) in [
        ("", "a"),
        ("a", ""),
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("set k, etag 1-34r5ai", "set k, etag 2-34r5ai"),
        ("set k, etag 1-34r5ai", "set k, etag 1"),
        ("ready in 16 ms", "ready in 16 s"),
        ("16 items", "17 items"),
        ("…/f.yaml", "/a/g.yaml"),
    ] {
        assert!(differ(shown, printed), "{shown:?} {printed:?}");
    }
}
