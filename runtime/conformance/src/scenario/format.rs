//! Scenario files.
//!
//! A file is a group of scenarios; a scenario is a list of steps. Everything is checked when the file
//! is read: an unknown key, operator or name is an error, never ignored.
//!
//! ```yaml
//! group: state
//! needs: [conditions]                 # of every scenario in the file
//! scenarios:
//!   - name: a stale etag is refused
//!     steps:
//!       - call: state.set
//!         args: {key: $own/a, value: {data: {$text: apple}}}
//!         expect: {etag: $first}
//!       - call: state.set
//!         args: {key: $own/a, value: {data: {$text: pear}}, condition: {ifMatch: $first}}
//!       - call: state.set
//!         args: {key: $own/a, value: {data: {$text: fig}}, condition: {ifMatch: $first}}
//!         error: {reason: state.etag_mismatch, category: conflict}
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::GIVEN;
use super::gap;
use super::mode::Mode;
use super::need::Need;
use super::step::Step;
use super::template::COUNTER;

/// One scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The group: a row of the table.
    pub group: String,
    /// What it shows, as a sentence.
    pub name: String,
    /// What the store must be able to do, or not to do.
    pub needs: Vec<Need>,
    /// The modes in which it says something; empty for all.
    pub modes: Vec<Mode>,
    /// The stores on which it says something; empty for all.
    pub stores: Vec<String>,
    /// Sections of the configuration to add to the usual ones.
    pub config: Map<String, Value>,
    /// It needs a runtime to itself.
    pub alone: bool,
    /// What happens.
    pub steps: Vec<Step>,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.group, self.name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    group: String,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    modes: Vec<Mode>,
    #[serde(default)]
    alone: bool,
    scenarios: Vec<Written>,
}

/// A scenario as it stands in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    modes: Vec<Mode>,
    #[serde(default)]
    stores: Vec<String>,
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default)]
    alone: bool,
    steps: Vec<Map<String, Value>>,
}

/// Reads every `*.yaml` in `folder`, by name, except the list of gaps. Folders in it are not looked
/// into.
///
/// # Errors
/// A file that cannot be read or is wrong, and two scenarios of one name.
pub fn read_folder(folder: &Path) -> Result<Vec<Scenario>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml") && !path.ends_with(gap::FILE));
    paths.sort();
    let mut scenarios = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        scenarios.extend(read(&text).with_context(|| path.display().to_string())?);
    }
    let mut names = BTreeSet::new();
    for scenario in &scenarios {
        ensure!(names.insert(&scenario.name), "two scenarios are called `{}`", scenario.name);
    }
    Ok(scenarios)
}

/// Reads the text of one file.
///
/// # Errors
/// Anything in it that is wrong.
pub fn read(text: &str) -> Result<Vec<Scenario>> {
    let File { group, needs, modes, alone, scenarios } = serde_saphyr::from_str(text)?;
    let needs = read_needs(&needs);
    let mut read = Vec::with_capacity(scenarios.len());
    for written in scenarios {
        let name = written.name.clone();
        let mut scenario = scenario(written).with_context(|| format!("scenario `{name}`"))?;
        scenario.group.clone_from(&group);
        scenario.needs.splice(..0, needs.iter().cloned());
        scenario.alone |= alone;
        if scenario.modes.is_empty() {
            scenario.modes.clone_from(&modes);
        }
        read.push(scenario);
    }
    Ok(read)
}

fn read_needs(needs: &[String]) -> Vec<Need> {
    needs.iter().map(|need| Need::from(need.as_str())).collect()
}

fn scenario(written: Written) -> Result<Scenario> {
    let Written { name, needs, modes, stores, config, alone, steps } = written;
    let steps = steps
        .into_iter()
        .enumerate()
        .map(|(index, step)| Step::parse(step).with_context(|| format!("step {}", index + 1)));
    let steps = steps.collect::<Result<Vec<_>>>()?;
    check_variables(&steps)?;
    // A runtime that is restarted or configured otherwise is of no use to the next scenario.
    let alone = alone || !config.is_empty() || steps.iter().any(|step| matches!(step, Step::Restart(_)));
    Ok(Scenario { group: String::new(), name, needs: read_needs(&needs), modes, stores, config, alone, steps })
}

/// A variable that stands only once says nothing: it is a slip of the pen, or noise.
fn check_variables(steps: &[Step]) -> Result<()> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for step in steps {
        step.variables(&mut |name| *counts.entry(name).or_default() += 1);
    }
    let given = |name: &str| name == COUNTER || GIVEN.contains(&name);
    match counts.into_iter().find(|(name, count)| *count == 1 && !given(name)) {
        Some((name, _)) => bail!("`${name}` stands only once; write `{{$any: true}}` for what does not matter"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        format!("{:#}", read(text).unwrap_err())
    }

    #[test]
    fn a_file_is_read_with_what_holds_for_all_of_it() {
        let scenarios = read(
            "
group: state
needs: [watch]
scenarios:
  - name: one
    needs: [watch=resumable, not durable]
    steps:
      - {call: state.get, args: {key: $own/a}, expect: {entry: null}}
  - name: two
    modes: [http]
    steps:
      - {restart: kill}
",
        )
        .unwrap();
        assert_eq!(scenarios[0].needs.len(), 3);
        assert_eq!(scenarios[0].to_string(), "state: one");
        assert!(!scenarios[0].alone && scenarios[1].alone);
        assert_eq!(scenarios[1].modes, [Mode::Http]);
    }

    #[test]
    fn slips_are_errors_that_say_where() {
        let file = |steps: &str| format!("group: g\nscenarios:\n  - name: n\n    steps:\n      - {steps}\n");
        for (step, said) in [
            ("{call: state.get, arg: {}}", "unknown field `arg`"),
            ("{call: state}", "api.method"),
            ("{call: state.get, next: w}", "one of"),
            ("{expect: {}}", "one of"),
            ("{call: state.get, expect: {a: $once}}", "`$once` stands only once"),
            ("{call: state.get, expect: {a: {$contian: x}}}", "$contian"),
            ("{call: state.get, expect: {}, error: {reason: a.b}}", "not both"),
            ("{call: state.get, error: {category: invalid}}", "missing field `reason`"),
            ("{call: state.get, eventually: soon}", "a duration with units"),
            ("{restart: softly}", "softly"),
            ("{parallel: [[{restart: kill}]]}", "only calls"),
        ] {
            let said_instead = problem(&file(step));
            assert!(said_instead.contains(said), "{step}: {said_instead}");
            assert!(said_instead.contains("scenario `n`"), "{said_instead}");
        }
        assert!(problem("group: g\nscenario: []\n").contains("scenario"));
    }
}
