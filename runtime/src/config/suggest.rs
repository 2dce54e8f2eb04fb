//! "Did you mean …?"

/// The candidate that was most likely meant by `word`, if one is near enough. Case, `-` and `_` count
/// for nothing.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    // Comparing costs the product of the lengths, and nobody misspells a name to hundreds of letters.
    if word.len() > 100 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let word = plain(word);
    candidates
        .iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&word, &plain(candidate)), *candidate))
        .filter(|(similarity, _)| *similarity >= 0.6)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}
